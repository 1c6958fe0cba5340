# P5: health while two processes share the sockets
from h import *
from tailgate_stack import gateway as gw, state
import urllib.request, urllib.error, collections
def get(url,timeout=8):
    b=time.monotonic()
    try:
        with urllib.request.urlopen(url,timeout=timeout) as a: st,t=a.status,a.read().decode()
    except urllib.error.HTTPError as e: st,t=e.code,e.read().decode()
    except Exception as e: st,t=0,repr(e)[:60]
    d=time.monotonic()-b
    try: j=json.loads(t)
    except ValueError: j={"raw":t[:50]}
    return st,j,d
def watch(s,seconds,gap=.04):
    """histogram of (path,status,word,pid) and the slowest"""
    c=collections.Counter(); slow=collections.Counter(); el=t0()
    while el()<seconds:
        for p in ("/healthz","/readyz"):
            for via,u in (("nginx",s.plain_url),("ops",s.ops_url)):
                st,j,d=get(u+p)
                key=(via,p,st,j.get("status",j.get("raw")),j.get("pid")); c[key]+=1; slow[key]=max(slow[key],round(d,2))
        time.sleep(gap)
    for k,v in sorted(c.items(),key=str): print("   ",k,v,"slowest",slow[k])
def start_second(s, more_env=None):
    """a second gateway on the same sockets, by the keeper; returns pid"""
    st=state.load(s.dir); e=st["processes"]["gateway-0"]
    env={**e["env"],**(more_env or {})}
    listen={w: env[f"TAILGATE_LISTEN_{w.upper()}"] for w in ("streams","auth","ops")}
    a=gw.ask_keeper(st,do="start",log=str(s.dir)+"/logs/gateway-second.log",name="gateway-0",listen=listen,command=e["command"],env=env,dir=st["dir"])
    return a["pid"]
which=sys.argv[1]
s=up("p5",{"drain.settle_s":1,"drain.deadline_s":8})
try:
    old=s.gateway_pid
    b=Builder(s.redis,"j").create("running")
    held=open_stream(s,"/api/jobs/j/logs/stream",headers=s.bearer()).wait_head()
    if which=="notready":
        print("A: a successor that does not get ready (wrong Redis), before the old one is told to end")
        p=start_second(s,{"TAILGATE_REDIS_URL":"redis://127.0.0.1:1"})
        watch(s,4); os.kill(p,9)
    if which=="drainpost":
        print("B: POST /drain at the old process, then a successor")
        print(get(s.ops_url+"/readyz"), s.ops("/drain","POST"))
        watch(s,1); print(" successor starts"); p=start_second(s); time.sleep(.5); print("  successor",p,"old",old)
        watch(s,3); os.kill(p,9)
    if which=="sequence":
        print("C: SIGTERM; 2 s later a successor; it hangs; killed")
        os.kill(old,15); time.sleep(.1); watch(s,1.5)
        p=start_second(s); time.sleep(.5); print(" successor",p,"old",old); watch(s,1.5)
        os.kill(p,signal.SIGSTOP); print(" successor stopped"); watch(s,3)
        os.kill(p,9); print(" successor killed, old drains"); watch(s,1)
    if which=="twodrain":
        print("D: two drain, one serves")
        p=start_second(s); time.sleep(1); os.kill(old,15); time.sleep(.3)
        q=start_second(s); time.sleep(1); os.kill(p,15); time.sleep(.3); print("old",old,"p",p,"q",q); watch(s,4)
        os.kill(q,15); print(" q too"); watch(s,1); 
        for x in (q,p):
            try: os.kill(x,9)
            except OSError: pass
finally:
    close_all(); s.down()
