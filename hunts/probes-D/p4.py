from lib import *
from support.stack import Stack
from support.clients import fetch, open_stream, raw_answer, sealed, send
from support.application import Application
import pathlib, shutil, time
d=pathlib.Path('/tmp/w/hunt-D/s4'); shutil.rmtree(d,ignore_errors=True)
if os.path.exists('/tmp/w/hunt-D/a4.sock'): os.unlink('/tmp/w/hunt-D/a4.sock')
app=Application('/tmp/w/hunt-D/a4.sock')
class D(dict):
    def get(self,k,default=None): return (200,"APP "+k)
app.answers=D()
stack=Stack.up(d,config='/tmp/w/hunt-D/odd.toml',application=app.url)
B=stack.bearer("mia","orgs"); R=stack.redis
try:
    for p in ("/x/y","/_tailgate/auth","/healthz","/readyz","/healthz/x","/a-._~@:+,=b/c/7","/a-._%7E%40%3A%2B%2C%3Db/c/7","/a-._~@:+,=b/c/d/e","/a-._~@:+%2c=b/c/d/e","/a-._~@: ,=b/c/7","/aX._~@:+,=b/c/7","/x","/x/y/z","/x/y%2Fz","/x/y?z=1"):
        r=send(stack,p.replace(' ','%20'),via="plain").wait_head(); r.pump(0.2); print(p,r.status,r.raw[:90]); r.close()
    R.hset("rec:7",mapping={"owner":"mia","status":"running"}); R.xadd("org:umbrella:job:7:logs",{"text":"SECRET"})
    print('rev hole',fetch(stack,"/jobs/7/of/umbrella",headers=B).raw)
    s=open_stream(stack,"/dollar/x/7/s",headers=B); s.pump(0.3); print(s.status,s.raw, R.pubsub_channels())
finally:
    stack.down(); app.close()
