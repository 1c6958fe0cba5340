from lib import *
from support.stack import Stack
from support.clients import fetch, open_stream, send
import pathlib, shutil, time
conf=open('odd.toml').read()
conf=conf[:conf.index('[route.top]')]+'''
[route.u]
path = "/u/{id}"
id = "uuid"
source = "channel"
key = "\\u007b\\u007bbull\\u007d\\u007d:{id}"
record = "job"
who = "owner"
providers = ["orgs"]
credentials = ["bearer"]
framing = "raw"
hello = [ { event="n", text = '{"job_id":${id}}' } ]
ending = [ { event = "end", data = '{"status":${status}}' } ]
'''
pathlib.Path('p14.toml').write_text(conf)
d=pathlib.Path('/tmp/w/hunt-D/s14'); shutil.rmtree(d,ignore_errors=True)
stack=Stack.up(d,config='/tmp/w/hunt-D/p14.toml')
try:
    R=stack.redis; B=stack.bearer("mia","orgs"); u="123e4567-e89b-12d3-a456-42661417abcd"
    R.hset("rec:"+u,mapping={"owner":"mia","status":"running"})
    for x in (u,u.upper()):
        r=send(stack,"/u/"+x,headers=B).wait_head(); r.pump(0.3); print(x,r.status,r.raw[:120])
    print(R.pubsub_channels())
finally: stack.down()
