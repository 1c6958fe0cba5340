from lib import *
from support.stack import Stack
from support.clients import fetch, open_stream, send, sealed, raw_answer
import pathlib, shutil, time, signal
d=pathlib.Path('/tmp/w/hunt-D/s9'); shutil.rmtree(d,ignore_errors=True)
conf=open('/tmp/w/keys2/tests/e2e/routes/orgs.toml').read()
conf=conf[:conf.index('[record.asked]')]+conf[conf.index('[route.org-events]'):conf.index('[route.asked]')]
conf=conf.replace('who       = "owner"','who       = "owner"\nnot_found = "Job ${id} {id} not found"',1).replace('hello     = [ {','hello     = [ { event = "job-${id}-{id}", data = "{}" }, {',1)
pathlib.Path('/tmp/w/hunt-D/rl.toml').write_text(conf)
stack=Stack.up(d,config='/tmp/w/hunt-D/rl.toml')
try:
    R=stack.redis; B=stack.bearer("mia","orgs")
    a,b='a'*128,'b'*128
    R.hset(f"org:{a}:job:{{{b}}}",mapping={"owner":"mia","status":"running"})
    for p in (f"/api/orgs/{a}/jobs/{b}/stream",f"/api/orgs/{'%61'*128}/jobs/{'%62'*128}/stream",f"/api/jobs/{b}/of/{a}",):
        for http,via in (("1.1","tls"),("2","tls")): print(len(p),send(stack,p,headers=B,http=http,via=via).wait_head().status)
    s=open_stream(stack,f"/api/orgs/{a}/jobs/{b}/stream",headers=B); s.pump(0.3); print(s.raw[:200])
    print(fetch(stack,"/api/orgs/x/jobs/y/stream",headers=B).raw)
    # reload: other order of segments, other heartbeat
    gateway_conf=[p for p in d.rglob('*.toml')]; print(gateway_conf, stack.facts.get('config'))
    R.hset("org:acme:job:{7}",mapping={"owner":"mia","status":"running"}); R.hset("org:7:job:{acme}",mapping={"owner":"noah","status":"running"})
    s=open_stream(stack,"/api/orgs/acme/jobs/7/stream",headers=B); s.events_until("standing")
    i=sealed(stack,"/api/orgs/acme/jobs/7/stream",B)
    f=pathlib.Path('/tmp/w/hunt-D/rl.toml')
    new=conf.replace('path      = "/api/orgs/{org}/jobs/{id}/stream"','path      = "/api/orgs/{id}/jobs/{org}/stream"').replace('"${org} ${id}"','"new ${id} ${org}"')
    f.write_text(new)
    for g in gateway_conf: 
        if '{org}/jobs/{id}/stream' in g.read_text(): g.write_text(g.read_text().replace('path      = "/api/orgs/{org}/jobs/{id}/stream"','path      = "/api/orgs/{id}/jobs/{org}/stream"').replace('"${org} ${id}"','"new ${id} ${org}"'))
    os.kill(stack.gateway_pid,signal.SIGHUP); time.sleep(1.2)
    print([ (l['event'],l.get('why')) for l in stack.logs() if l['event'].startswith('config')])
    s.pump(0.7); print('old stream', s.blocks[-2:])
    n=send(stack,"/api/orgs/acme/jobs/7/stream",headers=B).wait_head(); n.pump(0.8); print('new path order: id=acme org=7 → owner noah', n.status)
    n=send(stack,"/api/orgs/7/jobs/acme/stream",headers=B).wait_head(); n.pump(0.8); print('new path order: id=7 org=acme', n.status, n.blocks[-1:])
    r=send(stack,"/api/orgs/acme/jobs/7/stream",headers=i,via="gateway").wait_head(); print('old seal on new meaning',r.status)
finally:
    stack.down()
