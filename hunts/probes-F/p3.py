from lab import *
CFG=LISTEN+'''[redis]
url = "@URL@"
connect_timeout_s = 1
[provider.p]
secret = "0123456789abcdef0123456789abcdef"
algorithms = ["HS256"]
[record.job]
key = "job:{id}"
user = "user_id"
status = "status"
terminal = ["ready"]
[route.ev]
path = "/ev/{id}"
@ID@
source = "channel"
framing = "raw"
key = "job:{id}:events"
record = "job"
who = "owner"
providers = ["p"]
credentials = ["bearer"]
ending = [{data='{}'}]
[route.log]
path = "/log/{id}"
@ID@
source = "log"
key = "job:{id}:logs"
record = "job"
who = "owner"
providers = ["p"]
credentials = ["bearer"]
entry = ["text"]
ending = [{event="done",data='{}'}]
[route.pages]
path = "/pages/{id}"
@ID@
source = "pages"
key = "job:{id}:logs"
record = "job"
who = "owner"
providers = ["p"]
credentials = ["bearer"]
entry = ["text"]
[route.open]
path = "/open"
source = "channel"
framing = "raw"
key = "spools:updates"
who = "anyone"
'''
which=sys.argv[1:]
def run(name,url,wait=2.5,more="",idrule="",text=None):
    g=Gate((text or CFG).replace("@URL@",url).replace("connect_timeout_s = 1","connect_timeout_s = 1\n"+more).replace("@ID@",idrule),"r_"+name); time.sleep(wait)
    try: print("  /readyz",g.ops())
    except Exception as e: print("  no ops",e)
    for l in g.logs():
        if l.get("event") in("started",): continue
        print("     LOG",{k:v for k,v in l.items() if k in("event","link","why","advice","command","key","raw")})
    return g
def case(f):
    if not which or f.__name__ in which:
        print("=====",f.__name__,time.strftime("%H:%M:%S"))
        rs=[]
        try: rs=f() or []
        except Exception as e: print("  EXC",repr(e))
        for x in rs: x.end()
U="redis://127.0.0.1:8781"
README="~job:* ~jobs:* resetchannels &job:* &jobs:* &spools:updates &tailgate:* &__keyspace@0__:* &__redis__:invalidate -@all +auth +select +role +ping +client|setname +client|id +client|tracking +subscribe +unsubscribe +hmget +xrange +xrevrange +xread +xinfo|stream"
@case
def ok(): r=Redis(8781); g=run("ok",U); return [g,r]
@case
def noauth(): r=Redis(8781,"requirepass s"); return [run("noauth",U),r]
@case
def wrongpass(): r=Redis(8781,"requirepass s"); return [run("wp","redis://:x@127.0.0.1:8781"),r]
@case
def needlesspass(): r=Redis(8781); return [run("np","redis://:x@127.0.0.1:8781"),r]
@case
def nouser(): r=Redis(8781); return [run("nu","redis://bob:x@127.0.0.1:8781"),r]
@case
def useroff(): r=Redis(8781,"user bob off >x ~* &* +@all"); return [run("uo","redis://bob:x@127.0.0.1:8781"),r]
@case
def baddb(): r=Redis(8781,"databases 4"); return [run("bd",U+"/9"),r]
@case
def cluster_db(): r=Redis(8781,"cluster-enabled yes","cluster-port 8791"); r.cli("CLUSTER","ADDSLOTSRANGE","0","16383"); time.sleep(2); return [run("cd",U+"/1"),r]
@case
def cluster_fresh(): r=Redis(8781,"cluster-enabled yes","cluster-port 8791"); return [run("cf",U,4),r]
@case
def select_noperm(): r=Redis(8781,"user t on >x "+README.replace("+select ","")); return [run("sn","redis://t:x@127.0.0.1:8781/1"),r]
@case
def ping_noperm(): r=Redis(8781,"user t on >x "+README.replace("+ping ","")); return [run("pn","redis://t:x@127.0.0.1:8781"),r]
@case
def role_noperm(): r=Redis(8781,"user t on >x "+README.replace("+role ","")); return [run("rn","redis://t:x@127.0.0.1:8781"),r]
@case
def subscribe_control_noperm(): r=Redis(8781,"user t on >x "+README.replace("&tailgate:* ","")); return [run("sc","redis://t:x@127.0.0.1:8781",4),r]
@case
def uuid_acl():
    r=Redis(8781,"user t on >x "+README.replace("~job:* ~jobs:*","~job:????????-????-????-????-????????????*")); g=run("ua","redis://t:x@127.0.0.1:8781",4,idrule='id = "uuid"'); return [g,r]
@case
def protected():
    ip=subprocess.run("hostname -I",shell=True,capture_output=True,text=True).stdout.split()
    if not ip: print("  no ip"); return
    r=Redis(8781); r.end()
    f=r.dir/"r.conf"; f.write_text(f.read_text().replace("bind 127.0.0.1","bind 0.0.0.0")); r.p=subprocess.Popen(["setpriv","--pdeathsig","KILL","redis-server",str(f)]); time.sleep(.4)
    g=run("pm",f"redis://{ip[0]}:8781"); g.end(); g=run("pm2",f"redis://:pw@{ip[0]}:8781"); return [g,r]
@case
def maxclients(): 
    r=Redis(8781,"maxclients 2"); c=[socket.create_connection(("127.0.0.1",8781)) for _ in range(2)]; time.sleep(.2); g=run("mc",U); [x.close() for x in c]; time.sleep(3); print("  later",g.ops()); return [g,r]
@case
def maxclients3(): 
    r=Redis(8781,"maxclients 3"); g=run("mc3",U,5); return [g,r]
@case
def http_port():
    import threading,http.server
    s=http.server.HTTPServer(("127.0.0.1",8782),http.server.BaseHTTPRequestHandler); threading.Thread(target=s.serve_forever,daemon=True).start()
    g=run("hp","redis://127.0.0.1:8782"); s.shutdown(); s.server_close(); return [g]
@case
def silent_port():
    s=socket.socket(); s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1); s.bind(("127.0.0.1",8783)); s.listen(50); g=run("sp","redis://127.0.0.1:8783",3); s.close(); return [g]
@case
def closing_unix():
    p=str(ROOT/"cl.sock"); 
    try: os.unlink(p)
    except OSError: pass
    import threading
    s=socket.socket(socket.AF_UNIX); s.bind(p); s.listen(50)
    def loop():
        try:
            while True: c,_=s.accept(); time.sleep(.02); c.close()
        except OSError: pass
    threading.Thread(target=loop,daemon=True).start()
    g=run("cu","rediss://r.example:6380",2,more=f'tls_leg = "{p}"'); g.end(); g=run("cu2","unix:"+p,2); s.close(); return [g]
@case
def no_socket(): return [run("ns","unix:/tmp/w/hunt-F/none.sock",1)]
@case
def perm_socket():
    return
@case
def no_host(): return [run("nh","redis://no-such-host.invalid",1.5)]
@case
def refused(): return [run("rf","redis://127.0.0.1:8799",1)]
@case
def renamed():
    r=Redis(8781,'rename-command XINFO ""','rename-command HMGET ""'); return [run("ren",U),r]
@case
def renamed_ping():
    r=Redis(8781,'rename-command PING ""'); return [run("renp",U),r]
@case
def replica_of_nothing(): r=Redis(8781,"replicaof 10.1.2.3 6379"); return [run("ro",U),r]
@case
def wrongtype():
    r=Redis(8781); r.cli("SET","job:0","x"); r.cli("SET","job:0:logs","x"); r.cli("LPUSH","job:1:logs","x"); return [run("wt",U),r]
@case
def busy():
    r=Redis(8781,"lua-time-limit 100"); p=subprocess.Popen(["redis-cli","-p","8781","EVAL","while true do end","0"],stdout=subprocess.DEVNULL); time.sleep(.5); g=run("bu",U,3); r.cli("SCRIPT","KILL"); p.wait(); time.sleep(3); print("  after kill",g.ops()); return [g,r]
@case
def oom():
    r=Redis(8781,"maxmemory 1mb","maxmemory-policy noeviction"); r.cli("SET","a","x"*10); return [run("oom",U),r]
@case
def sentinel():
    r=Redis(8781,"sentinel monitor m 127.0.0.1 8799 1",sentinel=True); return [run("se",U+"/1"),r]
@case
def sentinel_pw():
    r=Redis(8781,"requirepass s",sentinel=True); g=run("sepw",U); g.end(); g=run("sepw2","redis://:s@127.0.0.1:8781"); return [g,r]
@case
def hung():
    r=Redis(8781); os.kill(r.p.pid,signal.SIGSTOP); g=run("hu",U,3); os.kill(r.p.pid,signal.SIGCONT); return [g,r]
@case
def percent_r(): r=Redis(8781,"user t on >x "+README.replace("~job:* ~jobs:*","%R~job:* %R~jobs:*")); return [run("pr","redis://t:x@127.0.0.1:8781"),r]
@case
def nopass(): r=Redis(8781,"user t on nopass "+README); return [run("nop","redis://t@127.0.0.1:8781"),r]
