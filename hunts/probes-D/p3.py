# ACL: a caller picks the first part of the channel
from lib import *
from support.stack import Stack
from support.clients import fetch, open_stream, raw_answer, sealed, send
import pathlib, shutil, time
d=pathlib.Path('/tmp/w/hunt-D/s3'); shutil.rmtree(d,ignore_errors=True)
conf=open('/tmp/w/keys2/tests/e2e/routes/orgs.toml').read()
conf=conf[:conf.index('[record.asked]')]+conf[conf.index('[route.org-events]'):conf.index('[route.asked]')]
conf=conf.replace('key       = "{{bull}}:{org}:{id}:events"','key       = "{org}:{id}:events"')
open('/tmp/w/hunt-D/acl.toml','w').write(conf)
stack=Stack.up(d,config='/tmp/w/hunt-D/acl.toml',redis_conf=['user default on nopass +@all ~* resetchannels &acme:* &0:* &tailgate:control:* &__redis__:invalidate &__keyspace@*'])
try:
    R=stack.redis; B=stack.bearer("mia","orgs")
    R.hset("org:acme:job:{7}",mapping={"owner":"mia","status":"running"})
    s=open_stream(stack,"/api/orgs/acme/jobs/7/stream",headers=B); print(s.status)
    s.events_until("standing")
    N=stack.bearer("noah","orgs")
    for i in range(5):
        t=time.time(); r=send(stack,f"/api/orgs/zz{i}/jobs/1/stream",headers=N).wait_head(); print('stranger',r.status,round(time.time()-t,2)); r.close(); time.sleep(0.3)
    time.sleep(1.5); s.pump(0.5)
    print('victim', [e.name for e in s.events], s.ended)
    print([ (l['event'],l.get('why'),l.get('channel')) for l in stack.logs() if l['event'] in('redis.lost','channel.refused')])
    # lengths
    for a,b in ((128,128),(129,1),(1,129)):
        print(a,b,send(stack,f"/api/orgs/{'a'*a}/jobs/{'b'*b}/stream",headers=B).wait_head().status)
    print(send(stack,f"/api/orgs/{'%61'*128}/jobs/{'%62'*128}/stream",headers=B).wait_head().status)
    for m in ("TRACE","PUT","HEAD","OPTIONS"):
        for p in ("/api/orgs/a/jobs/b/logs","/api/orgs/a/jobs/b/stream","/api/orgs/a/jobs/b%3Ac/logs","/api/orgs//a/jobs/b/logs"):
            g=raw_answer(stack,f"{m} {p} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n","plain",head_suffices=True); print(m,p,g.split(b"\r\n")[0],[l for l in g.split(b"\r\n") if l.lower().startswith(b'allow')])
finally:
    stack.down()
