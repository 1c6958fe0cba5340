# sealed identity fuzz + record path with ${id}
from lib import *
from support.stack import Stack
from support.clients import fetch, open_stream, send, sealed
from support.application import Application
import pathlib, shutil, time, random
conf=open('probe.toml').read()+'''
[record.dol]
kind     = "http"
target   = "unix:/run/tailgate/application.sock"
path     = "/status/${id}"
forward  = ["authorization"]
status   = "status"
terminal = ["done"]
[route.dol]
path = "/api/dol/{id}"
source = "channel"
key = "d:{id}"
record = "dol"
who = "owner"
auth = "application"
framing = "raw"
ending    = [ { event = "end", data = '{"status":${status}}' } ]
'''
pathlib.Path('p16.toml').write_text(conf)
if os.path.exists('/tmp/w/hunt-D/a16.sock'): os.unlink('/tmp/w/hunt-D/a16.sock')
app=Application('/tmp/w/hunt-D/a16.sock')
d=pathlib.Path('/tmp/w/hunt-D/s16'); shutil.rmtree(d,ignore_errors=True)
stack=Stack.up(d,config='/tmp/w/hunt-D/p16.toml',application=app.url)
try:
    R=stack.redis; B=stack.bearer("mia","orgs")
    r=send(stack,"/api/dol/7",headers=B).wait_head(); print('dol',r.status,app.asked[-1][0])
    rnd=random.Random(1); paths=[]
    V=["a","b","a.b","a-b","..a","A","a%2Eb","ab"]
    for x in V:
        for y in V:
            paths+= [f"/api/ab/{x}/{y}",f"/api/ba/{x}/{y}",f"/api/orgs/{x}/jobs/{y}/log",f"/api/orgs/{x}/jobs/{y}/pages"]
    seals={p:sealed(stack,p,B) for p in paths}
    bad=0; n=0; good=0
    norm=lambda p: urllib.parse.unquote(p)
    for _ in range(4000):
        p,q=rnd.choice(paths),rnd.choice(paths)
        if rnd.random()<.1: q=p
        s=fetch(stack,q,headers=seals[p],via="gateway").status; n+=1
        same=norm(p)==norm(q)
        if same: good+=1
        if (s==401)==same: bad+=1; print('BAD',p,q,s)
    print('seal fuzz',n,'same',good,'bad',bad)
finally: stack.down(); app.close()
