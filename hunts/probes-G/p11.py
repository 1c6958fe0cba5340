# P11: like systemd: a parent holds the sockets for ever; old stops, then new starts; health through nginx meanwhile.
from h import *
import socket, urllib.request, urllib.error, collections
from tailgate_stack import state
def get(url,timeout=8):
    b=time.monotonic()
    try:
        with urllib.request.urlopen(url,timeout=timeout) as a: st,t=a.status,a.read().decode()
    except urllib.error.HTTPError as e: st,t=e.code,e.read().decode()
    except Exception as e: st,t=0,repr(e)[:80]
    return st,t[:60],time.monotonic()-b
s=up("p11",{"drain.settle_s":1,"drain.deadline_s":5})
holder=None; me=[]
try:
    st=state.load(s.dir); e=st["processes"]["gateway-0"]; env=e["env"]
    os.kill(s.gateway_pid,15); 
    wait_until(lambda: not os.path.exists(f"/proc/{s.gateway_pid}") or open(f"/proc/{s.gateway_pid}/stat").read().split()[2]=="Z",15,"gone"); time.sleep(.5)
    # hold
    socks={}
    for n in ("streams","auth"):
        p=env[f"TAILGATE_LISTEN_{n.upper()}"][5:]
        with contextlib.suppress(FileNotFoundError): os.unlink(p)
        l=socket.socket(socket.AF_UNIX); l.bind(p); l.listen(4096); os.chmod(p,0o660); socks[n]=l
    h,_,port=env["TAILGATE_LISTEN_OPS"].rpartition(":"); socks["ops"]=socket.create_server((h,int(port)),backlog=4096)
    def start(extra=()):
        def pre():
            copies=[os.dup(x.fileno()) for x in socks.values()]
            import fcntl
            hi=[fcntl.fcntl(c,fcntl.F_DUPFD,100) for c in copies]
            for i,c in enumerate(hi): os.dup2(c,3+i)
            os.environ
        names=":".join(socks)
        code=f"import os,sys; os.environ['LISTEN_PID']=str(os.getpid()); os.execv(sys.argv[1],sys.argv[1:])"
        p=subprocess.Popen([sys.executable,"-c",code,*e["command"],*extra],env={**env,"LISTEN_FDS":"3","LISTEN_FDNAMES":names},close_fds=False,preexec_fn=pre,stdout=open("/tmp/w/hunt-G/p11.log","ab"),stderr=subprocess.STDOUT)
        me.append(p); return p
    p=start(); wait_until(lambda:get(s.ops_url+"/readyz")[0]==200,10,"ready")
    Builder(s.redis,"j").create("running")
    stop=threading.Event(); res=[]; el=t0()
    def w(path):
        while not stop.is_set():
            at=el(); r=get(s.plain_url+path); res.append((at,path,*r)); time.sleep(.1)
    ths=[threading.Thread(target=w,args=(x,)) for x in ("/healthz","/readyz")]
    for t in ths: t.start()
    held=open_stream(s,"/api/jobs/j/logs/stream",headers=s.bearer()).wait_head()
    time.sleep(1); print(el(),"SIGTERM"); p.terminate(); p.wait(); print(el(),"old ended",p.returncode); time.sleep(2.5)
    p=start(); print(el(),"new starts"); time.sleep(2)
    print(el(),"kill -9"); p.kill(); p.wait(); time.sleep(1); p=start(); print(el(),"start"); time.sleep(1)
    print(el(),"SIGTERM twice"); p.terminate(); time.sleep(.5); p.terminate(); p.wait(); print(el(),"ended",p.returncode); time.sleep(1)
    p=start(("--set","nonsense=1")); p.wait(); print(el(),"bad config",p.returncode); time.sleep(1)
    for x in socks.values(): x.close()
    print(el(),"sockets closed"); time.sleep(1.5)
    stop.set(); [t.join() for t in ths]
    prev={}
    for at,path,code,t,d in sorted(res):
        k=(code,t.split('"pid"')[0])
        if prev.get(path)!=k or d>1: print(f"  {at:6.2f} {path} {code} {t} {d:.2f}s")
        prev[path]=k
    print("slowest",max(r[4] for r in res))
finally:
    for p in me:
        if p.poll() is None: p.kill()
    close_all(); s.down()
