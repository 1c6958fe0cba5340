from lib import *
import subprocess, pathlib, shutil
out=pathlib.Path('/tmp/w/hunt-D/ng'); shutil.rmtree(out,ignore_errors=True)
r=subprocess.run(['/usr/bin/python3','/tmp/w/keys2/nginx/render','--config','/tmp/w/keys2/tests/e2e/routes/orgs.toml','--out',str(out),'--tailgate','/tmp/w/keys2/build/release/tailgate','--set','TG_APPLICATION=http://127.0.0.1:9'],capture_output=True,text=True,env={**os.environ,'REDIS_URL':'redis://x'})
print(r.stdout,r.stderr)
def dump(site):
    t="# configuration file /etc/nginx/nginx.conf:\nevents { worker_connections 4096; }\nhttp {\n include %s/http.conf;\n server {\n listen 80;\n large_client_header_buffers 4 64k;\n%s\n include %s/server.conf;\n }\n}\n"%(out,site,out)
    for f in sorted(out.glob('*.conf')): t+="\n# configuration file %s:\n%s"%(f,f.read_text())
    return t
for site in ("","location ~ ^/api/numbers/\\d+$ { return 200; }","location ~ ^/api/uploads/[0-9a-f-]{36}$ { return 200; }",'location ~ "^/api/uploads/[0-9a-f-]{36}$" { return 200; }',"location ~ ^/api/numbers/ { return 200; }","location ^~ /api/orgs/acme/ { return 200; }","location ~ ^/api/orgs/[A-Z]+/ { return 200; }"):
    f='/tmp/w/hunt-D/dump.txt'; open(f,'w').write(dump(site))
    r=subprocess.run(['/usr/bin/python3','/tmp/w/keys2/nginx/render','--doctor',f],capture_output=True,text=True); print(repr(site),r.returncode,r.stdout[-400:],r.stderr[-300:])
