from p2lib import *
def clients(port=8771): return subprocess.run(["redis-cli","-p",str(port),"CLIENT","LIST"],capture_output=True,text=True).stdout
for u in ("redis://127.0.0.1:8771/1?db=2","redis://127.0.0.1:8771?db=1&db=2"):
    g=gate("db",CFG.replace("redis://127.0.0.1:8771",u)); print(u,[re.search(r" db=(\d+)",l)[1] for l in clients().splitlines() if "tailgate-records" in l]); g.end()
# limits switched on by SIGHUP
g=gate("lim",CFG.replace("[redis]","[limits]\nmemory_mb = 512\n[redis]")); cs=[]
def op():
    c=UH(str(g.dir/"streams.sock"),3); c.request("GET","/open",headers={"X-Forwarded-For":"1.2.3.4"}); r=c.getresponse(); r.read1(20); cs.append((c,r)); return r.status
print([op() for _ in range(4)]); g.rewrite("memory_mb = 512","memory_mb = 512\nstreams_per_address = 2\nstreams = 6"); g.hup(); print("after streams_per_address = 2, streams = 6:",[op() for _ in range(4)]); g.end()
# SIGHUP: jwks over http: redirect, gzip
import threading,http.server,gzip
class H(http.server.BaseHTTPRequestHandler):
    mode="redirect"
    def do_GET(s):
        b=json.dumps({"keys":[j1]}).encode()
        if H.mode=="redirect": s.send_response(302); s.send_header("Location","/x"); s.end_headers(); return
        if H.mode=="gzip": b=gzip.compress(b); s.send_response(200); s.send_header("Content-Encoding","gzip"); s.send_header("Content-Length",str(len(b))); s.end_headers(); s.wfile.write(b); return
        if H.mode=="html": b=b"<html>login</html>"
        if H.mode=="204": s.send_response(204); s.end_headers(); return
        s.send_response(200); s.send_header("Content-Length",str(len(b))); s.end_headers(); s.wfile.write(b)
    def log_message(s,*a): pass
sv=http.server.ThreadingHTTPServer(("127.0.0.1",8774),H); threading.Thread(target=sv.serve_forever,daemon=True).start()
for m in ("redirect","gzip","html","204","ok"):
    H.mode=m; g=Gate(CFG.replace("file:@D@/keys.json","http://127.0.0.1:8774/k"),"jh"); time.sleep(.5); print(m,[(l.get("why")) for l in g.logs("keys.failed")],g.ops()[1]); g.end()
sv.shutdown()
# several gateways' worth: SIGHUP before the first readiness with changed redis password
r2=Redis(8773,"requirepass good"); g=Gate(CFG.replace("redis://127.0.0.1:8771","redis://:bad@127.0.0.1:8773"),"pwb",start=False); (g.dir/"keys.json").write_text(json.dumps({"keys":[j1]})); g.start(); time.sleep(.5); print(g.ops()); g.rewrite(":bad@",":good@"); g.hup(3); print("corrected password by SIGHUP:",g.ops()); 
g.end(); g=Gate(CFG.replace("redis://127.0.0.1:8771","redis://127.0.0.1:8771"),"wrongaddr",start=False); g.text=g.text.replace(":8771",":8772"); g.cfg.write_text(g.text); (g.dir/"keys.json").write_text(json.dumps({"keys":[j1]})); g.start(); time.sleep(.5); g.rewrite(":8772",":8771"); g.hup(2); print("wrong port corrected by SIGHUP before readiness:",g.ops()[1]); show(g,("redis.unreachable","started")); g.end()
r2.end(); R.end()
