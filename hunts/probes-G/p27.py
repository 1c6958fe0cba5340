# reserved channels
from h import *
t=open("/tmp/w/hunt-G/e.toml").read().replace('key       = "ech:{id}"','key       = "{id}"').replace('id_chars = "!$&()*+,;=:@~<>[]^|"','id_chars = ":@"')
open("/tmp/w/hunt-G/e2.toml","w").write(t)
s=up("p27",config="/tmp/w/hunt-G/e2.toml")
try:
    n=len(s.logs("redis.lost"))
    for i in ("__keyspace@0__:x","__keyspace@1__:y","__redis__:invalidate","tailgate:control:abc","__keyevent@0__:xadd","__sentinel__:hello","tailgate:controlx","plain"):
        try: a=open_stream(s,f"/e/{i}/s"); print(i,a.status,a.raw[:40])
        except BaseException as e: print(i,repr(e)[:80])
    print(len(s.logs("redis.lost"))-n,[l["channel"] for l in s.logs("channel.refused")])
finally:
    close_all(); s.down()
