from lib import *
from support.stack import Stack
from support.clients import fetch, open_stream, send
from support.application import Application
import pathlib, shutil, time
conf=open('probe.toml').read().replace('path      = "/api/any2/{org}/{id}"\nid_chars  = ":@"','path      = "/api/any2/{org}/{id}"')
pathlib.Path('p11.toml').write_text(conf)
if os.path.exists('/tmp/w/hunt-D/a11.sock'): os.unlink('/tmp/w/hunt-D/a11.sock')
app=Application('/tmp/w/hunt-D/a11.sock')
class D(dict):
    def get(self,k,default=None): return (200,"APP "+k)
app.answers=D()
d=pathlib.Path('/tmp/w/hunt-D/s11'); shutil.rmtree(d,ignore_errors=True)
stack=Stack.up(d,config='/tmp/w/hunt-D/p11.toml',application=app.url)
try:
    R=stack.redis
    s=open_stream(stack,"/api/any2/n/7"); stack.wait_subscribed("n:7"); R.publish("n:7","private of route int"); print('any2 without id_chars',s.next_event())
    for p in ("/api/int/latest","/api/int/latest/x","/api/uuid/search"):
        r=send(stack,p,via="plain").wait_head(); r.pump(0.2); print(p,r.status,r.raw[:60])
finally: stack.down(); app.close()
