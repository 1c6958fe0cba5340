from lib import *
from support.stack import Stack
from support.clients import fetch, open_stream, send
import pathlib, shutil, time
conf=open('acl.toml').read()
conf=conf.replace('framing   = "raw"\nends_on','framing   = "raw"\non_gap = "close"\nends_on',1)+'''
[route.openlog]
path = "/api/open/{org}/{id}/log"
source = "log"
key = "{org}:{id}:logs"
who = "anyone"
entry = ["text"]
'''
pathlib.Path('acl2.toml').write_text(conf)
d=pathlib.Path('/tmp/w/hunt-D/s10'); shutil.rmtree(d,ignore_errors=True)
stack=Stack.up(d,config='/tmp/w/hunt-D/acl2.toml',redis_conf=['notify-keyspace-events KEA','user default on nopass +@all ~* resetchannels &acme:* &0:* &tailgate:control:* &__redis__:invalidate &__keyspace@0__:acme:* &__keyspace@0__:{bull}*'])
try:
    R=stack.redis; B=stack.bearer("mia","orgs"); N=stack.bearer("noah","orgs")
    R.hset("org:acme:job:{7}",mapping={"owner":"mia","status":"running"})
    s=open_stream(stack,"/api/orgs/acme/jobs/7/stream",headers=B); s.events_until("standing")
    l=open_stream(stack,"/api/open/acme/7/log"); 
    def lat():
        x=[]
        for i in range(5):
            t=time.time(); R.xadd("acme:7:logs",{"text":str(i)}); l.next_event(); x.append(round(1000*(time.time()-t),1)); time.sleep(0.2)
        return x
    print('latency before',lat(),[ (e.get('by'),e['event']) for e in stack.logs('log.wakeups')])
    z=send(stack,"/api/open/zz/1/log").wait_head(); print('stranger log',z.status); time.sleep(1)
    print('latency after',lat()); print([(e['event'],e.get('by'),e.get('of'),e.get('why')) for e in stack.logs() if e['event'].startswith('log.wake') or e['event']=='redis.lost'])
    s.pump(0.5); print('victim of log stranger',s.ended,[e.name for e in s.events])
    s=open_stream(stack,"/api/orgs/acme/jobs/7/stream",headers=B); s.events_until("standing")
    r=send(stack,"/api/orgs/zz/jobs/1/stream",headers=N).wait_head(); print('stranger',r.status); time.sleep(1.5); s.pump(0.5); print('victim', s.ended,[e.name for e in s.events])
finally: stack.down()
