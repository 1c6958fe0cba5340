from lib import *
from support.stack import Stack
from support.clients import fetch, open_stream, send
import pathlib, shutil, time, threading
d=pathlib.Path('/tmp/w/hunt-D/s15'); shutil.rmtree(d,ignore_errors=True)
stack=Stack.up(d,config='/tmp/w/hunt-D/acl.toml',redis_conf=['user default on nopass +@all ~* resetchannels &acme:* &0:* &tailgate:control:* &__redis__:invalidate &__keyspace@*'])
try:
    R=stack.redis; B=stack.bearer("mia","orgs"); N=stack.bearer("noah","orgs")
    R.hset("org:acme:job:{7}",mapping={"owner":"mia","status":"running"})
    for rate in (0,1,5,20):
        s=open_stream(stack,"/api/orgs/acme/jobs/7/stream",headers=B); s.events_until("standing")
        t0=time.time(); n=0; k=0; pend=[]; nextp=t0; nexta=t0
        while time.time()-t0<5:
            now=time.time()
            if now>=nextp: R.publish("acme:7:events",'{"n":%d}'%n); n+=1; nextp+=0.05
            if rate and now>=nexta: pend.append(send(stack,f"/api/orgs/z{rate}x{k}/jobs/1/stream",headers=N,via="plain")); k+=1; nexta+=1/rate
            s.pump(0.005)
        time.sleep(1); s.pump(0.5)
        got=[e for e in s.events if e.name=='message']; rs=[e for e in s.events if e.name=='resync']
        print('rate',rate,'/s: asked',k,'published',n,'delivered',len(got),'resync',len(rs),'ended',s.ended,'new stream:',send(stack,"/api/orgs/acme/jobs/7/stream",headers=B).wait_head(8).status)
        for p in pend: p.close()
        s.close(); time.sleep(2)
finally: stack.down()
