# clips: the leg of the application, heartbeat vs TG_READ_TIMEOUT, site.env typos, literal clerk key
from lab import *
def render(toml,sets=(),env=None,site=None):
    d=ROOT/"rend"; shutil.rmtree(d,ignore_errors=True); (ROOT/"rend.toml").write_text(toml)
    cmd=["/tmp/w/keys2/nginx/render","--config",str(ROOT/"rend.toml"),"--out",str(d),"--tailgate",B]
    for s in sets: cmd+=["--set",s]
    if site is not None: (ROOT/"site.env").write_text(site); cmd+=["--site",str(ROOT/"site.env")]
    p=subprocess.run(cmd,capture_output=True,text=True,env={**os.environ,**(env or {})}); print("  render",p.returncode,(p.stdout+p.stderr).strip()[-300:]); return d
app=open("/tmp/w/keys2/deploy/blog-application.toml").read()
E={"REDIS_URL":"redis://h","JWT_SECRET":"0123456789abcdef0123456789abcdef"}
print("== record.timeout_s = 20 and the leg")
t=re.sub(r'(?m)^(kind\s*=\s*"http".*)$',r'\1\ntimeout_s = 20',app); d=render(t,["TG_APPLICATION=http://127.0.0.1:3000"],E)
os.system(f"grep -rn 'proxy_read_timeout' {d} | head -20")
print("== heartbeat.every_s = 600 and TG_READ_TIMEOUT 75s")
sp=open("/tmp/w/keys2/deploy/spools.toml").read(); t=re.sub(r'every_s\s*=\s*\d+','every_s = 600',sp); d=render(t,[],E); os.system(f"grep -rn 'proxy_read_timeout' {d} | head")
print("== site.env with a misspelt name")
site=open("/tmp/w/keys2/nginx/site.env").read()
render(sp,[],E,site.replace("TG_KEEPALIVE=75s","TG_KEEPALIVE=75s\nTG_REDTIMEOUT=5s"))
render(sp,[],E,site.replace("TG_READ_TIMEOUT=75s","TG_READ_TIMEOT=75s"))
render(sp,[],{**E,"TG_READ_TIMEOT":"5s"})
print("== a short site.env"); render(sp,[],E,"TG_SERVER_NAME=x\n")
print("== literal clerk key")
bl=open("/tmp/w/keys2/deploy/builder.toml").read(); import base64
t=bl.replace('clerk_publishable_key_env = "CLERK_PUBLISHABLE_KEY"','clerk_publishable_key = "pk_live_%s"'%base64.b64encode(b"clerk.example.com$").decode()); print("  replaced",t!=bl); d=render(t,[],E)
print("== TAILGATE_CORS_ORIGINS for the gateway only"); 
