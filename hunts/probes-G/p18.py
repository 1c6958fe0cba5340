# JSON nested deep in the application's answer (R6 with an http record), and health with two instances during a rolling hand-over
from h import *
import http.server
nest='['*5000+'1'+']'*5000
class A(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        b=json.dumps({"status":"succeeded","progress":100}).encode()[:-1]+b',"result":{"deep":'+nest.encode()+b'}}'
        self.send_response(200); self.send_header("Content-Type","application/json"); self.send_header("Content-Length",str(len(b))); self.end_headers(); self.wfile.write(b)
    def log_message(self,*a): pass
srv=http.server.ThreadingHTTPServer(("127.0.0.1",7391),A); threading.Thread(target=srv.serve_forever,daemon=True).start()
s=up("p18",config="/tmp/w/keys2/deploy/blog-application.toml",application="http://127.0.0.1:7391")
try:
    x=open_stream(s,"/api/v1/jobs/j1/stream",headers={"Cookie":"accessToken=x"}); x.wait_closed(8)
    print("http record",x.status,[(e.name,len(e.data)) for e in x.events], x.raw[:100] if not x.events else "")
finally:
    close_all(); s.down()
import urllib.request, urllib.error, collections
s=up("p18b",{"drain.settle_s":1,"drain.deadline_s":4},instances=2)
try:
    c=collections.Counter(); slow=0; stop=threading.Event()
    def w():
        global slow
        while not stop.is_set():
            for p in ("/healthz","/readyz"):
                b=time.monotonic()
                try:
                    with urllib.request.urlopen(s.plain_url+p,timeout=8) as a: k=(p,a.status,json.loads(a.read())["status"])
                except urllib.error.HTTPError as e: k=(p,e.code,e.read()[:40])
                except Exception as e: k=(p,0,repr(e)[:50])
                c[k]+=1; slow=max(slow,time.monotonic()-b)
            time.sleep(.02)
    t=threading.Thread(target=w); t.start()
    Builder(s.redis,"j").create("running"); held=open_stream(s,"/api/jobs/j/logs/stream",headers=s.bearer()).wait_head()
    s.restart(wait=True); s.restart(wait=True); s.restart(kill=True)
    stop.set(); t.join(); print("two instances, two rolling restarts and one kill:",dict(c),"slowest",round(slow,2))
finally:
    close_all(); s.down()
