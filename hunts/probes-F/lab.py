import subprocess,os,time,json,signal,socket,http.client,urllib.request,urllib.error,sys,shutil,re,pathlib
sys.path.insert(0,"/tmp/w/keys2/tests"); sys.path.insert(0,"/tmp/w/keys2/scripts")
B="/tmp/w/keys2/build/release/tailgate"
ROOT=pathlib.Path("/tmp/w/hunt-F")
class UH(http.client.HTTPConnection):
    def __init__(s,p,timeout=5): super().__init__("localhost",timeout=timeout); s.p=p
    def connect(s):
        s.sock=socket.socket(socket.AF_UNIX); s.sock.settimeout(s.timeout); s.sock.connect(s.p)
_n=[0]
class Redis:
    def __init__(s,port,*lines,name=None,sentinel=False):
        s.port=port; s.dir=ROOT/(name or f"redis{port}"); shutil.rmtree(s.dir,ignore_errors=True); s.dir.mkdir(parents=True)
        f=s.dir/"r.conf"; f.write_text("\n".join([f"port {port}","bind 127.0.0.1",f"dir {s.dir}",f"logfile {s.dir}/log"]+([] if sentinel else ['save ""'])+list(lines))+"\n")
        s.p=subprocess.Popen(["setpriv","--pdeathsig","KILL","redis-server",str(f)]+(["--sentinel"] if sentinel else [])); time.sleep(0.4)
    def cli(s,*a):
        return subprocess.run(["redis-cli","-p",str(s.port),*a],capture_output=True,text=True).stdout.strip()
    def end(s): s.p.kill(); s.p.wait()
class Gate:
    def __init__(s,text,name="g",env=None,args=(),start=True):
        s.dir=ROOT/name; shutil.rmtree(s.dir,ignore_errors=True); s.dir.mkdir(parents=True)
        s.cfg=s.dir/"c.toml"; s.name=name
        s.text=text.replace("@D@",str(s.dir)); s.cfg.write_text(s.text); s.env=env or {}; s.args=list(args)
        if start: s.start()
    def start(s):
        s.log=s.dir/"log"; s.lf=open(s.log,"w")
        s.p=subprocess.Popen(["setpriv","--pdeathsig","KILL",B,"--config",str(s.cfg),*s.args],stderr=s.lf,stdout=s.lf,env={**os.environ,**s.env})
        for _ in range(100):
            if (s.dir/"ops.sock").exists() or s.p.poll() is not None: break
            time.sleep(0.02)
    def ops(s,path="/readyz",timeout=3):
        c=UH(str(s.dir/"ops.sock"),timeout); c.request("GET",path); r=c.getresponse(); return r.status,r.read().decode()
    def auth(s,uri,h=None,method="GET",timeout=5):
        c=UH(str(s.dir/"auth.sock"),timeout); c.request("GET","/auth",headers={"X-Tailgate-Uri":uri,"X-Tailgate-Method":method,**(h or {})}); r=c.getresponse(); r.read(); return r.status,r.headers.get("X-Tailgate-Verdict"),r.headers
    def get(s,uri,h=None,method="GET",timeout=5,n=4000,body=True):
        c=UH(str(s.dir/"streams.sock"),timeout); c.request(method,uri,headers=h or {}); r=c.getresponse()
        return r.status,(r.read(n).decode() if body else r),r.headers
    def logs(s,ev=None):
        out=[]
        for l in open(s.log):
            try: d=json.loads(l)
            except ValueError: out.append({"raw":l.strip()}); continue
            if ev is None or d.get("event")==ev: out.append(d)
        return out
    def hup(s,wait=0.3): os.kill(s.p.pid,signal.SIGHUP); time.sleep(wait)
    def rewrite(s,old,new):
        assert old in s.text,old; s.text=s.text.replace(old,new); s.cfg.write_text(s.text)
    def end(s):
        if s.p.poll() is None:
            s.p.terminate(); time.sleep(0.05); 
            if s.p.poll() is None: s.p.terminate()
            try: s.p.wait(3)
            except Exception: s.p.kill(); s.p.wait()
LISTEN='''[listen]
streams = "unix:@D@/streams.sock"
auth = "unix:@D@/auth.sock"
ops = "unix:@D@/ops.sock"
[identity]
key_file = "@D@/identity.key"
'''
def show(g,skip=("started","redis.up")):
    for l in g.logs():
        if l.get("event") in skip: continue
        print("     LOG",{k:v for k,v in l.items() if k not in("time","ts","pid")})
