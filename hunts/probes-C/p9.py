from base import *
import random, os, signal
cfg=(DEPLOY/"all-three.toml").read_text()
import re
def lim(**k):
    body="[limits]\n"+"".join(f"{a} = {b}\n" for a,b in k.items())
    base=re.sub(r"(?ms)^\[limits\].*?(?=^\[|\Z)","",cfg)
    return base+"\n"+body
f=H/"s9.toml"
V=dict(streams_per_address=2,trusted_proxies='["127.0.0.0/8"]')
f.write_text(lim(**V))
S=up("s9",{"route.spools.on_unavailable":"status"},config=f)
KEEP=[]
def op(x):
    s=open_stream(S,P,headers={"X-Forwarded-For":x},via="plain"); KEEP.append(s); return s
def reload_(**k):
    f.write_text(lim(**k)); n=len(S.logs("config.reloaded")); os.kill(S.gateway_pid,signal.SIGHUP); time.sleep(.5); print("  reload",k,[l for l in S.logs() if l["event"].startswith("config")][-1:])
try:
    random.seed(1); held=[]
    addrs=[f"2001:db8:{i}::{j}" for i in range(3) for j in range(4)]+["203.0.113.1","::ffff:203.0.113.1","[::ffff:203.0.113.1]:44","junk"]
    codes={}
    for i in range(400):
        if held and random.random()<.5: held.pop(random.randrange(len(held))).close()
        else:
            s=op(random.choice(addrs)); codes[s.status]=codes.get(s.status,0)+1
            held.append(s) if s.status==200 else s.close()
    print("random",codes,len(held))
    for h in held: h.close()
    time.sleep(.5)
    print("after: 2 of each", [[op(a).status for _ in range(3)] for a in ("2001:db8:0::1","203.0.113.1")], S.metrics().get('tailgate_streams_open{route="spools"}'))
    close_all(); time.sleep(.4)
    a=[op("2001:db8:0:1::1"),op("2001:db8:0:2::1")]
    reload_(**V,ipv6_prefix=48)
    print("after prefix 48, 2 open under the old names:", [op("2001:db8:0:3::1").status for _ in range(3)])
    close_all(); time.sleep(.4)
    reload_(streams_per_address=0)
    b=[op("203.0.113.1") for _ in range(4)]
    reload_(**V)
    print("4 uncounted, then:", [op("203.0.113.1").status for _ in range(3)])
    for x in b: x.close()
    close_all(); time.sleep(.4)
    print("all closed:", [op("203.0.113.1").status for _ in range(3)]); close_all(); time.sleep(.3)
    c=[op("203.0.113.1"),op("203.0.113.1")]
    reload_(streams_per_address=0); reload_(**V)
    print("2 counted before 0:", op("203.0.113.1").status); [x.close() for x in c]; time.sleep(.4); print("closed:", [op("203.0.113.1").status for _ in range(3)])
    print([l for l in S.logs() if l["event"] in("client.address",)][-2:])
finally: S.down()
