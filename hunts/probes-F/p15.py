from p2lib import *
for what in ('jwks = []\nalgorithms = ["RS256"]','secret = []\nalgorithms = ["HS256"]','secret_env = []\nalgorithms = ["HS256"]','secret_file = []\nalgorithms = ["HS256"]'):
    t=CFG.replace('jwks = "file:@D@/keys.json"\nalgorithms = ["RS256"]\nrefresh_s = 3600',what)
    g=Gate(t,"em"); time.sleep(.6); p=subprocess.run([B,"--check","--config",str(g.cfg)],capture_output=True,text=True); print(what.replace("\n","; "),"check",p.returncode,(p.stdout+p.stderr).strip()[-120:])
    if p.returncode==0:
        print("   ",g.ops(),g.auth("/ev/1",bearer(tok(k1,"one")))[:2],g.auth("/ev/1",bearer(jwt.encode({"sub":"a","exp":time.time()+60},"","HS256")))[:2],[l for l in g.ops("/metrics")[1].splitlines() if "provider_keys" in l])
    g.end()
# reload to an empty list: a template that expanded to nothing
g=gate("em2"); g.rewrite('jwks = "file:%s/keys.json"'%g.dir,'jwks = []'); g.hup(); print("SIGHUP to jwks = []:",g.auth("/ev/1",bearer(tok(k1,"one")))[:2],g.ops()[1]); show(g,("started","redis.up","ready","keys.refreshed")); g.end()
# env-dependent key
open("ev.toml","w").write(CFG.replace("@D@","/tmp").replace("[redis]",'[cors]\nallowed_headers = ["authorization","x-mine"]\n[redis]'))
for env in ({"TAILGATE_CORS_ORIGINS":"https://a.example"},{}): p=subprocess.run([B,"--check","--config","ev.toml"],capture_output=True,text=True,env={**os.environ,**env}); print(env,p.returncode,(p.stdout+p.stderr).strip())
# CORS default headers lack the session header of a route
t=CFG.replace("[redis]",'[cors]\norigins = ["https://a.example"]\n[redis]').replace('user = "user_id"','session = "s"').replace('providers = ["p"]\n','').replace('"bearer"','"session-header:x-visitor"')
g=gate("cs",t); r=g.get("/ev/1",{"Origin":"https://a.example","Access-Control-Request-Method":"GET","Access-Control-Request-Headers":"x-visitor"},"OPTIONS"); print(r[0],"x-visitor" in (r[2].get("Access-Control-Allow-Headers") or "")); g.end()
# empties
for s in ('record.job.terminal=[]','route.ev.ends_on.events=[]','limits.trusted_proxies=[]','redis.wakeups="auto"','listen.socket_group=""','route.open.credentials=[]','route.open.providers=[]','route.open.auth="gateway"','route.open.record_grace_ms=0','identity.life_s=300','provider.p.at_expiry="keep"','cors.origins=[]','route.ev.id_chars=""','route.open.id_chars=""','route.open.id="segment"','route.open.trailing_slash=false','route.ev.framing="raw"','route.ev.name_from=[]','route.ev.data_from=""','route.ev.event=""','route.open.ends_on.values=[]','redis.tls_leg=""','route.open.not_found="Job not found"'):
    p=subprocess.run([B,"--check","--config","/tmp/w/hunt-F/cs/c.toml","--set",s],capture_output=True,text=True); print("ok    " if p.returncode==0 else "refuse",s,"" if p.returncode==0 else p.stderr.strip().split(": ",2)[-1][:140])
R.end()
