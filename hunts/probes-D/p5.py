from lib import *
from support.stack import Stack
from support.clients import fetch, open_stream, send
import pathlib, shutil, time
d=pathlib.Path('/tmp/w/hunt-D/s5'); shutil.rmtree(d,ignore_errors=True)
stack=Stack.up(d,config='/tmp/w/hunt-D/acl.toml',wait="alive",redis_conf=['user default on nopass +@all ~* resetchannels &acme:* &tailgate:control:* &__redis__:invalidate &__keyspace@*'])
try:
    time.sleep(4); print(stack.ops('/readyz')); print(stack.logs('redis.refused'))
    print([l['event'] for l in stack.logs()][-20:])
finally: stack.down()
