"""The status endpoint of an application, for tests."""

import http.server
import json
import socketserver
import threading
import urllib.parse


class Application(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers GET requests.  `asked` has (path, headers) of every request.

    `answers[path]` is one of these; other paths get 404:
    - (status, body) or (status, body, headers), with a body of text, bytes or a value for JSON.  The Content-Type is
      that of JSON unless `headers` has one;
    - a function of the request's headers that returns such a pair;
    - None: there is no answer until `release` is set.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path):
        super().__init__(str(path), _Handler)
        self.answers = {}
        self.asked = []
        self.release = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self):
        return f"unix:{self.server_address}"

    def asked_for(self, path):
        return [headers for asked, headers in list(self.asked) if asked == path]

    def handle_error(self, request, client_address):
        """Ignores errors: a client may close its connection at any time."""

    def close(self):
        self.release.set()
        self.shutdown()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        application = self.server
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = urllib.parse.urlsplit(self.path).path
        application.asked.append((self.path, headers))
        answer = application.answers.get(path, (404, {"error": "no such job"}))
        if callable(answer):
            answer = answer(headers)
        if answer is None:
            application.release.wait(30)
            answer = (200, {"status": "running"})
        status, body, *more = answer
        if not isinstance(body, bytes):
            body = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        headers = {"Content-Type": "application/json", **(more[0] if more else {})}
        for name, value in headers.items():
            self.send_header(name, value)
        if status in (301, 302, 307):
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

    def address_string(self):
        return "-"
