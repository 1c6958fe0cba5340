from p2lib import *
import threading,http.server
which=sys.argv[1:]
def case(f):
    if not which or f.__name__ in which:
        print("=====",f.__name__,time.strftime("%H:%M:%S"))
        try: f()
        except Exception as e: print("  EXC",repr(e))
def first(g,uri,h,n=20):
    c=UH(str(g.dir/"streams.sock"),3); c.request("GET",uri,headers=h); r=c.getresponse(); b=r.read1(n); return r.status,b
@case
def readcheck_serves():
    R.cli("ACL","SETUSER","lim","on",">pw","resetkeys","~right:*","resetchannels","&*","-@all","+auth","+select","+role","+ping","+client","+subscribe","+unsubscribe","+hmget","+xrange","+xrevrange","+xread","+xinfo")
    text=CFG.replace("redis://","redis://lim:pw@").replace('key = "job:{id}"','key = "wrong:{id}"')
    g=Gate(text,"rc",start=False); (g.dir/"keys.json").write_text(json.dumps({"keys":[j1]})); g.start(); time.sleep(1)
    g.rewrite('key = "wrong:{id}"','key = "right:{id}"'); g.hup(); time.sleep(11)
    R.cli("HSET","right:1","user_id","alice","status","x"); h=g.auth("/ev/1",bearer(tok(k1,"one")))[2]; print("  request:",first(g,"/ev/1",{"X-Tailgate-Identity":h["X-Tailgate-Identity"]}),"readyz",g.ops()[0]); g.end()
@case
def two_sources_first_down():
    (ROOT/"k2.json").write_text(json.dumps({"keys":[j2]}))
    g=Gate(CFG.replace('"file:@D@/keys.json"','["unix:/tmp/w/hunt-F/noleg.sock:/k","file:/tmp/w/hunt-F/k2.json"]'),"two",start=False); g.start(); time.sleep(1.2)
    print("  readyz",g.ops()); print("  token of the issuer whose keys were never fetched:",g.auth("/ev/1",bearer(tok(k1,"one")))[:2], g.auth("/ev/1",bearer(tok(k1,"one")))[:2]); show(g); g.end()
    g=Gate(CFG.replace('"file:@D@/keys.json"','"unix:/tmp/w/hunt-F/noleg.sock:/k"'),"one",start=False); g.start(); time.sleep(1.2); print("  with that source alone:",g.auth("/ev/1",bearer(tok(k1,"one")))[:2],g.ops()); g.end()
APP=LISTEN+'''[redis]
url = "redis://127.0.0.1:8771"
[record.r]
kind = "http"
target = "unix:@D@/app.sock"
path = "/s/{id}"
forward = @FWD@
[route.ev]
path = "/ev/{id}"
source = "channel"
framing = "raw"
key = "job:{id}:events"
record = "r"
who = "owner"
auth = "application"
credentials = ["query:token"]
'''
class App(threading.Thread):
    def __init__(s,path,delay=0):
        super().__init__(daemon=True); s.got=[]; s.delay=delay
        try: os.unlink(path)
        except OSError: pass
        s.s=socket.socket(socket.AF_UNIX) if path.startswith("/") else None; s.s.bind(path); os.chmod(path,0o777); s.s.listen(9); s.start()
    def run(s):
        while True:
            try: c,_=s.s.accept()
            except OSError: return
            threading.Thread(target=s.one,args=(c,),daemon=True).start()
    def one(s,c):
        b=b""
        while b"\r\n\r\n" not in b:
            d=c.recv(4096)
            if not d: return
            b+=d
        s.got.append(b.decode()); time.sleep(s.delay); body=b'{"status":"x"}'
        try: c.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"%len(body)+body)
        except OSError: pass
        c.close()
@case
def forward_twice():
    for fwd in ('["cookie","Cookie","authorization","authorization"]','["accept","authorization"]','["if-none-match","range","content-type","authorization"]'):
        g=Gate(APP.replace("@FWD@",fwd),"fw",start=False); a=App(str(g.dir/"app.sock")); g.start(); time.sleep(.6)
        print(fwd,first(g,"/ev/1",{"Cookie":"a=b","Authorization":"Bearer x","Accept":"text/event-stream","If-None-Match":'"e"',"Range":"bytes=0-1"})); print(a.got[-1].replace("\r\n"," | ")); g.end(); a.s.close()
@case
def listen_localhost():
    for v in ("localhost:8776","[::1]:8776","no-such-host:8776","127.0.0.1:8776"):
        g=Gate(CFG.replace('ops = "unix:@D@/ops.sock"','ops = "%s"'%v),"ll",start=False); (g.dir/"keys.json").write_text(json.dumps({"keys":[j1]})); print(v,"check:",subprocess.run([B,"--check","--config",str(g.cfg)],capture_output=True,text=True).returncode,end=" "); g.start(); time.sleep(.1); print("start: poll",g.p.poll(),open(g.log).read()[:150].strip() if g.p.poll() is not None else ""); g.end()
@case
def identity_4096():
    g=gate("i4"); old=(g.dir/"identity.key").read_text().strip()
    lines=[os.urandom(32).hex() for _ in range(63)]; text="\n".join(lines)+"\n"+"\n"; assert len(text)==4096
    g2=gate("i4b"); ident=g2.auth("/ev/1",bearer(tok(k1,"one")))[2]["X-Tailgate-Identity"]; key2=(g2.dir/"identity.key").read_text(); g2.end()
    f=g.dir/"identity.key"; f.write_text(text+key2); R.cli("HSET","job:1","user_id","alice","status","x"); g.hup(); print("  64th key, after byte 4096:",first(g,"/ev/1",{"X-Tailgate-Identity":ident})[0],[l["event"] for l in g.logs()][-2:])
    f.write_text("\n".join(lines[:10])+"\n"+key2); g.hup(); print("  11th key:",first(g,"/ev/1",{"X-Tailgate-Identity":ident})[0]); g.end()
@case
def keys_over_32():
    (ROOT/"ka.json").write_text(json.dumps({"keys":[{**j1,"kid":f"a{i}"} for i in range(32)]})); (ROOT/"kb.json").write_text(json.dumps({"keys":[j2]}))
    g=Gate(CFG.replace('"file:@D@/keys.json"','["file:/tmp/w/hunt-F/ka.json","file:/tmp/w/hunt-F/kb.json"]'),"k32",start=False); g.start(); time.sleep(.6); print("  second source's key:",g.auth("/ev/1",bearer(tok(k2,"two")))[:2]); show(g); g.end()
@case
def session_headers():
    for c in ("authorization","cookie","x-tailgate-identity","host","x_s"):
        t=CFG.replace('user = "user_id"','session = "s"').replace('providers = ["p"]\n','').replace('credentials = ["bearer"]','credentials = ["session-header:%s"]'%c)
        g=Gate(t,"sh",start=False); (g.dir/"keys.json").write_text(json.dumps({"keys":[j1]})); p=subprocess.run([B,"--check","--config",str(g.cfg)],capture_output=True,text=True); print("  session-header:"+c,p.returncode,(p.stdout+p.stderr).strip()[-200:])
@case
def memory_1():
    g=gate("m1",CFG.replace("[redis]","[limits]\nmemory_mb = 1\n[redis]")); time.sleep(.5); print("  memory_mb=1:",first(g,"/open",{},300)); show(g); print([l for l in g.ops("/metrics")[1].splitlines() if l.startswith("tailgate_heap")]); g.end()
@case
def hup_draining():
    g=gate("hd",CFG.replace("[redis]","[drain]\nsettle_s = 1\ndeadline_s = 6\n[redis]")); c=UH(str(g.dir/"streams.sock")); c.request("GET","/open"); r=c.getresponse(); r.read1(100)
    g.p.terminate(); time.sleep(.3); g.hup(); g.rewrite("deadline_s = 6","deadline_s = 60"); g.hup(); t=time.time(); g.p.wait(15); print("  ended after",round(time.time()-t,1),g.p.returncode); show(g)
@case
def hup_many():
    g=gate("hm"); 
    for _ in range(200): os.kill(g.p.pid,signal.SIGHUP)
    time.sleep(1); print("  200 HUPs:",g.ops()[0],[l for l in g.ops("/metrics")[1].splitlines() if l.startswith("tailgate_reload")]); g.end()
@case
def hup_listen_change():
    g=gate("hl"); g.rewrite('/auth.sock"','/auth2.sock"'); g.hup(); print("  ",[(l["event"],l.get("keys")) for l in g.logs()][-2:],(g.dir/"auth2.sock").exists()); g.end()
@case
def provider_removed_while_waiting():
    g=Gate(CFG.replace('"file:@D@/keys.json"','"unix:/tmp/w/hunt-F/hang.sock:/k"'),"pw",start=False); s=socket.socket(socket.AF_UNIX)
    try: os.unlink("/tmp/w/hunt-F/hang.sock")
    except OSError: pass
    s.bind("/tmp/w/hunt-F/hang.sock"); s.listen(5); g.start(); time.sleep(.3); res=[]
    th=threading.Thread(target=lambda: res.append(g.auth("/ev/1",bearer(tok(k1,"one")))[:2])); th.start(); time.sleep(.2)
    (g.dir/"keys.json").write_text(json.dumps({"keys":[j1]})); g.rewrite('"unix:/tmp/w/hunt-F/hang.sock:/k"','"file:%s/keys.json"'%g.dir); t=time.time(); g.hup(0.01); th.join(5); print("  waiting request after the source has changed:",res,round(time.time()-t,2),"next",g.auth("/ev/1",bearer(tok(k1,"one")))[:2]); g.end(); s.close()
R.end()
