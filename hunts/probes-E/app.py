"""An application: /api/v1/jobs/ID/status says who may; everything else echoes. Logs requests."""
import http.server, json, socketserver, sys, os
path, log = sys.argv[1], open(sys.argv[2], "a", buffering=1)
class S(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64
class Hd(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def go(self):
        n = int(self.headers.get("Content-Length") or 0)
        if n: self.rfile.read(n)
        log.write(json.dumps({"m": self.command, "p": self.path, "h": dict(self.headers.items())}) + "\n")
        st, body = 200, {"echo": self.path, "h": dict(self.headers.items())}
        if self.path.endswith("/status"):
            c = self.headers.get("Cookie") or ""
            if "user=owner" in c: body = {"status": "running", "progress": 5}
            elif c: st, body = 404, {"error": "no"}
            else: st, body = 401, {"error": "who"}
        if self.path.startswith("/oauth2"):
            st, body = (200 if "s=1" in (self.headers.get("Cookie") or "") else 401), {}
        b = json.dumps(body).encode()
        self.send_response(st); self.send_header("Content-Type", "application/json"); self.send_header("Content-Length", str(len(b))); self.end_headers()
        if self.command != "HEAD": self.wfile.write(b)
    do_GET = do_POST = do_HEAD = do_OPTIONS = do_PUT = do_DELETE = go
    def log_message(self, *a): pass
    def address_string(self): return "-"
os.path.exists(path) and os.unlink(path)
s = S(path, Hd); os.chmod(path, 0o666); s.serve_forever()
