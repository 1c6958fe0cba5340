from lab import *
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
def signer(kid):
    k=rsa.generate_private_key(public_exponent=65537,key_size=2048); j=json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(k.public_key())); j.update(kid=kid,use="sig",alg="RS256"); return k,j
def tok(k,kid,**c):
    now=int(time.time()); return jwt.encode({"sub":"alice","exp":now+600,**c},k,"RS256",{"kid":kid})
k1,j1=signer("one"); k2,j2=signer("two")
R=Redis(8771)
CFG=LISTEN+'''[redis]
url = "redis://127.0.0.1:8771"
[provider.p]
jwks = "file:@D@/keys.json"
algorithms = ["RS256"]
refresh_s = 3600
[record.job]
key = "job:{id}"
user = "user_id"
status = "status"
terminal = ["ready"]
[route.ev]
path = "/ev/{id}"
source = "channel"
framing = "raw"
key = "job:{id}:events"
record = "job"
who = "owner"
providers = ["p"]
credentials = ["bearer"]
ending = [{data='{}'}]
[route.open]
path = "/open"
source = "channel"
framing = "raw"
key = "open"
who = "anyone"
'''
def gate(name,text=CFG,keys=(j1,),**kw):
    g=Gate(text,name,start=False,**kw); (g.dir/"keys.json").write_text(json.dumps({"keys":list(keys)})); g.start()
    for _ in range(100):
        try:
            if g.ops()[0]==200: break
        except OSError: pass
        time.sleep(0.05)
    return g
def bearer(t): return {"Authorization":"Bearer "+t}
which=sys.argv[1:]
def case(f):
    if not which or f.__name__ in which:
        print("=====",f.__name__,time.strftime("%H:%M:%S"))
        try: f()
        except Exception as e: print("  EXC",repr(e))
@case
def fifo_identity():
    g=gate("fifo"); os.unlink(g.dir/"identity.key"); os.mkfifo(g.dir/"identity.key",0o600)
    g.hup(0.5)
    try: print("  readyz after HUP with FIFO key file:",g.ops(timeout=3))
    except Exception as e: print("  readyz HANGS:",repr(e))
    g.p.terminate(); time.sleep(1); print("  SIGTERM ends it within 1 s?",g.p.poll()); g.p.kill(); g.p.wait()
@case
def fifo_identity_start():
    g=Gate(CFG,"fifo2",start=False); (g.dir/"keys.json").write_text(json.dumps({"keys":[j1]})); os.mkfifo(g.dir/"identity.key",0o600); g.start(); time.sleep(0.5); print("  start with FIFO: poll",g.p.poll(),open(g.log).read()); g.p.kill(); g.p.wait()
@case
def identity_others():
    for what in ("dir","missing","empty","group","big","link","garbage","latin"):
        g=gate("idk"); f=g.dir/"identity.key"; old=f.read_text(); os.unlink(f)
        if what=="dir": f.mkdir(0o700)
        elif what=="empty": f.write_text("");f.chmod(0o600)
        elif what=="group": f.write_text(old);f.chmod(0o640)
        elif what=="big": f.write_text("\n".join([os.urandom(32).hex() for _ in range(100)]));f.chmod(0o600)
        elif what=="link": (g.dir/"real").write_text(old);(g.dir/"real").chmod(0o600);f.symlink_to(g.dir/"real")
        elif what=="garbage": f.write_text("xx\n");f.chmod(0o600)
        g.hup(); print("  ",what,[(l["event"],l.get("why")) for l in g.logs() if l["event"] in("identity.refused","config.reloaded","config.refused")]); g.end()
@case
def config_fifo():
    g=gate("cf"); os.unlink(g.cfg); os.mkfifo(g.cfg); g.hup(); print("  ",g.ops()[0],g.logs("config.refused")); os.unlink(g.cfg); g.cfg.mkdir(); g.hup(); print("  ",g.logs("config.refused")[-1:]); g.cfg.rmdir(); g.cfg.symlink_to("/dev/zero"); g.hup(); print("  ",g.logs("config.refused")[-1:]); g.end()
@case
def jwks_fifo():
    g=gate("jf"); os.unlink(g.dir/"keys.json"); os.mkfifo(g.dir/"keys.json"); g.hup(); print("  ",g.ops()[0],g.logs("keys.failed"), g.auth("/ev/1",bearer(tok(k1,"one")))[:2]); g.end()
@case
def jwks_new_source_missing():
    g=gate("jn"); print("  before",g.auth("/ev/1",bearer(tok(k1,"one")))[:2]); g.rewrite("file:%s/keys.json"%g.dir,"file:%s/keyz.json"%g.dir); g.hup()
    print("  after HUP to a missing file:",g.auth("/ev/1",bearer(tok(k1,"one")))[:2], g.ops()); show(g,("started","redis.up","ready","keys.refreshed")); g.end()
@case
def jwks_add_source():
    g=gate("ja"); print("  before",g.auth("/ev/1",bearer(tok(k1,"one")))[:2])
    # the first source becomes unreadable (issuer down) and then a second one is added
    (g.dir/"k2.json").write_text(json.dumps({"keys":[j2]})); os.unlink(g.dir/"keys.json"); g.hup(); print("  first source gone, HUP:",g.auth("/ev/1",bearer(tok(k1,"one")))[:2])
    g.rewrite('"file:%s/keys.json"'%g.dir,'["file:%s/keys.json","file:%s/k2.json"]'%(g.dir,g.dir)); g.hup()
    print("  second source added, HUP: one",g.auth("/ev/1",bearer(tok(k1,"one")))[:2],"two",g.auth("/ev/1",bearer(tok(k2,"two")))[:2]); show(g,("started","redis.up","ready")); g.end()
@case
def jwks_skipped_silent():
    g=gate("js"); bad={**j2,"alg":"PS384"}
    (g.dir/"keys.json").write_text(json.dumps({"keys":[j1,bad]})); n=len(g.logs()); g.hup(); print("  new log lines:",g.logs()[n:]); print("  token of new key:",g.auth("/ev/1",bearer(tok(k2,"two")))[:2]); g.end()
@case
def readcheck_old_config():
    R.cli("ACL","SETUSER","lim","on",">pw","resetkeys","~right:*","resetchannels","&*","-@all","+auth","+select","+role","+ping","+client","+subscribe","+unsubscribe","+hmget","+xrange","+xrevrange","+xread","+xinfo")
    text=CFG.replace("redis://","redis://lim:pw@").replace('key = "job:{id}"','key = "wrong:{id}"')
    g=Gate(text,"rc",start=False); (g.dir/"keys.json").write_text(json.dumps({"keys":[j1]})); g.start(); time.sleep(1.5)
    print("  wrong key:",g.ops()); g.rewrite('key = "wrong:{id}"','key = "right:{id}"'); g.hup(); time.sleep(14); print("  14 s after the reload with the right key:",g.ops())
    R.cli("HSET","right:1","user_id","alice","status","x"); h=g.auth("/ev/1",bearer(tok(k1,"one")))[2]; print("  a request:",g.get("/ev/1",{"X-Tailgate-Identity":h["X-Tailgate-Identity"]},n=30)[:2]); show(g); g.end()
@case
def rediss_host():
    text=CFG.replace('url = "redis://127.0.0.1:8771"','url = "rediss://one.example:6380"\ntls_leg = "@D@/leg.sock"')
    g=Gate(text,"rh",start=False); (g.dir/"keys.json").write_text(json.dumps({"keys":[j1]})); g.start(); time.sleep(.3)
    g.rewrite("one.example:6380","two.example:6381"); g.hup(); show(g,("redis.unreachable","started"))
    g.rewrite("leg.sock","leg2.sock"); g.hup(); print("  -- tls_leg changed:"); show(g,("redis.unreachable","started")); g.end()
@case
def start_race():
    for delay in (0,0.001,0.002,0.004,0.006,0.008,0.01,0.015,0.02,0.03):
        g=Gate(CFG,"sr",start=False); (g.dir/"keys.json").write_text(json.dumps({"keys":[j1]}))
        p=subprocess.Popen([B,"--config",str(g.cfg)],stderr=subprocess.DEVNULL); time.sleep(delay); os.kill(p.pid,signal.SIGHUP); time.sleep(0.3); print("  SIGHUP",delay,"s after start:",p.poll()); 
        if p.poll() is None: p.terminate();p.terminate();time.sleep(.1);p.kill()
        p.wait()
@case
def needs_restart_names():
    g=gate("nr"); (g.dir/"u").write_text("redis://127.0.0.1:8772"); g.rewrite('url = "redis://127.0.0.1:8771"','url_file = "%s/u"'%g.dir); g.hup(); g.rewrite("[identity]",'socket_mode = "0666"\n[identity]'); g.hup(); show(g,("ready","keys.refreshed")); g.end()
@case
def leeway():
    g=gate("lw",CFG.replace('algorithms =','leeway_s = 0.9\nalgorithms =')); now=time.time(); t=jwt.encode({"sub":"a","exp":now+1.0},k1,"RS256",{"kid":"one"},json_encoder=None); 
    time.sleep(max(0,now+1.5-time.time())); print("  0.5 s after exp with leeway_s = 0.9:",g.auth("/ev/1",bearer(t))[:2]); g.end()
@case
def open_streams_after_reload():
    g=gate("os"); c=UH(str(g.dir/"streams.sock")); c.request("GET","/open"); r=c.getresponse(); r.read1(100)
    g.rewrite('who = "anyone"\n','who = "anyone"\nheartbeat = {every_s = 0.2, comment = "hb"}\n'); g.hup(0.6)
    R.cli("PUBLISH","open","hello"); time.sleep(.2); print("  old stream:",r.read1(500)); st,body,_=g.get("/open",n=60); print("  new:",body); g.end()
@case
def big_token():
    g=gate("bt"); 
    for n in (4000,5900,6500,8000,20000):
        t=tok(k1,"one",pad="x"*n); print("  token of",len(t),"bytes:",g.auth("/ev/1",bearer(t))[:2], g.auth("/ev/1",bearer(t))[2].get("WWW-Authenticate"))
    print([ (l["reason"],l["claim"],l["provider"]) for l in g.logs("token.refused")]); g.end()
@case
def label_escape():
    g=gate("le",CFG.replace('algorithms =','required = ["exp","https://x/\\"a\\\\b", "é"]\nalgorithms =')); g.auth("/ev/1",bearer(tok(k1,"one"))); print([l for l in g.ops("/metrics")[1].splitlines() if "tokens_refused" in l]); print(g.logs("token.refused")); g.end()
@case
def invalid_then_half():
    g=gate("ih"); g.rewrite('key = "job:{id}"','key = "job2:{id}"'); os.unlink(g.dir/"identity.key"); g.hup(); show(g,("started","redis.up","ready")); print([l for l in g.ops("/metrics")[1].splitlines() if l.startswith("tailgate_reload")]); g.end()
@case
def key_file_path_changed():
    g=gate("kp"); g.rewrite("identity.key","identity2.key"); g.hup(); show(g,("started","redis.up","ready")); print("  file made?",(g.dir/"identity2.key").exists()); g.end()
R.end()
