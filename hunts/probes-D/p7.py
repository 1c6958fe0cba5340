from lib import *
from support.stack import Stack
from support.clients import fetch, open_stream, send, sealed, raw_answer
from support.application import Application
import pathlib, shutil, time, subprocess, signal
d=pathlib.Path('/tmp/w/hunt-D/s7'); shutil.rmtree(d,ignore_errors=True)
if os.path.exists('/tmp/w/hunt-D/a7.sock'): os.unlink('/tmp/w/hunt-D/a7.sock')
app=Application('/tmp/w/hunt-D/a7.sock')
raw=[]
class D(dict):
    def get(self,k,default=None):
        return dict.get(self,k,(200,"APP "+k))
app.answers=D()
stack=Stack.up(d,config='/tmp/w/hunt-D/probe.toml',application=app.url,nginx_settings={"TG_SHARE":"chars=0% any2=0%"})
B=stack.bearer("mia","orgs"); R=stack.redis
def t(n,f):
    try: print(n,'=>',f())
    except Exception as e: print(n,'=> EXC',repr(e)[:300])
try:
    # canary to the application: path unchanged?
    for p in ("/api/chars/a%5Bb%3b%2B/stream?x=%5B","/api/chars/a[b/stream","/api//chars/a:b/stream","/api/any2/o/a:b@c"):
        n=len(app.asked); s=send(stack,p,via="plain").wait_head(); s.pump(0.2); print('canary',p,s.status,[x[0] for x in app.asked[n:]]); s.close()
    R.hset("rec:a[b",mapping={"owner":"mia","status":"running"})
    for line in ("GET http://localhost/api/orgs/o/jobs/a/log HTTP/1.1","GET http://localhost/api/asked/a[b HTTP/1.1","GET http://localhost/api/asked/a:b HTTP/1.1","GET /api/asked/a[b#x HTTP/1.1","GET /api/asked/a:b#x HTTP/1.1","GET /api/asked/a[b? HTTP/1.1","GET /api/asked/a[b?x=[y] HTTP/1.1"):
        app.answers["/status/a%5Bb"]=(200,{"status":"running"});app.answers["/status/a%3Ab"]=(200,{"status":"running"})
        g=raw_answer(stack,line+"\r\nHost: localhost\r\nAuthorization: "+B["Authorization"]+"\r\n\r\n","plain",head_suffices=True); print(line,g.split(b"\r\n")[0])
    app.answers["/status/dup"]=(200,'{"status":"running","status":"done"}')
    s=open_stream(stack,"/api/asked/dup",headers=B); t('dup record',lambda:[(e.name,e.data) for e in s.rest(2)])
    app.answers["/status/dup2"]=(200,'{"status":"done","st\\u0061tus":"running"}')
    s=open_stream(stack,"/api/asked/dup2",headers=B); s.pump(0.3); print('dup2',s.raw,s.ended); s.close()
    # gateway down
    os.kill(stack.gateway_pid,signal.SIGKILL); time.sleep(0.3)
    for p in ("/api/asked/a[b","/api/slash/a/b/","/api/orgs/o/jobs/a:b/pages"):
        s=send(stack,p,headers={"Accept":"text/event-stream"},via="plain").wait_head(); s.pump(0.3); print('down',p,s.status,s.raw[:120]); s.close()
        g=raw_answer(stack,f"POST {p} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n","plain",head_suffices=True); print(g.split(b"\r\n")[0],[l for l in g.split(b"\r\n") if l.lower().startswith(b'allow:')])
finally:
    stack.down(); app.close()
