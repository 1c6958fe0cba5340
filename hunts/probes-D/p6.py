from lib import *
from support.stack import Stack
from support.clients import fetch, open_stream, send, sealed
from support.application import Application
import pathlib, shutil, time
d=pathlib.Path('/tmp/w/hunt-D/s6'); shutil.rmtree(d,ignore_errors=True)
if os.path.exists('/tmp/w/hunt-D/a6.sock'): os.unlink('/tmp/w/hunt-D/a6.sock')
app=Application('/tmp/w/hunt-D/a6.sock')
stack=Stack.up(d,config='/tmp/w/hunt-D/probe.toml',application=app.url,instances=2,redis_conf=["notify-keyspace-events KEA"],settings={"redis.wakeups":"notifications"})
B=stack.bearer("mia","orgs"); R=stack.redis
try:
    for jid in ("a*b","[a-z]","a|b","$1","$(x)","^a$","a&&b;c","<b>","@","::","~","+","!","=,",":"*128, "a[!b]","..a","...","-","_","a..b"):
        R.hset("rec:"+jid,mapping={"owner":"mia","status":"running"})
        q=urllib.parse.quote(jid,safe='')
        res=[]
        for form in (jid,q):
            s=open_stream(stack,f"/api/chars/{form}/log",headers=B)
            if s.status!=200: res.append(s.status); continue
            time.sleep(0.15); t=time.time(); R.xadd("charslog:"+jid,{"text":"live"}); e=s.next_event(); res.append((s.status,e.json()["text"],round(time.time()-t,3)))
            s.close()
        R.hset("rec:"+jid,"status","done")
        s=open_stream(stack,f"/api/chars/{q}/stream",headers=B); ev=s.rest() if s.status==200 else s.status
        print(jid[:20],res,[e.name for e in ev] if not isinstance(ev,int) else ev)
    print(open('/tmp/w/hunt-D/s6/stack.json').read()[:0])
    print({l['event'] for l in stack.logs()})
    # access log
    print(stack.log_text('nginx-access').splitlines()[:3])
    # application down / 400
    app.answers["/status/{x}/7"]=(400,"bad"); r=send(stack,"/api/braces/7",headers=B).wait_head(); print('400 from app',r.status)
    # case-insensitive application
finally:
    stack.down(); app.close()
