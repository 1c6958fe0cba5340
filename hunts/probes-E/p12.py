from h import *
import subprocess
L, l = site("L")
l.use()
big={"Origin":"https://app.example.com","Content-Length":"20000"}
a=fetch(L, ANY, method="POST", headers=big, body=b"x"*20000, via="plain"); print("413 h1:", a.status, a.headers.get("content-type"), a.headers.get("access-control-allow-origin"), a.raw[:60])
a=fetch(L, ANY, method="POST", headers={"Origin":"https://app.example.com"}, body=b"x"*40000, via="tls", http="2"); print("413 h2:", a.status, a.headers.get("content-type"), a.headers.get("access-control-allow-origin"), a.raw[:60])
# doctor: globs
T="/etc/nginx"
srv=(l.nginx_dir/"server.conf").read_text().replace(str(l.nginx_dir),T+"/conf.d/tailgate")
def dump(**files):
    out=""
    for f,t in files.items(): out+=f"# configuration file {T}/{f.replace('__','/')}:\n{t}\n\n"
    return out
def d(name, files):
    out="".join(f"# configuration file {T}/{f}:\n{t}\n\n" for f,t in files.items())
    done=subprocess.run([W+"/nginx/render","--doctor","-"],input=out,capture_output=True,text=True)
    print("==",name,done.returncode,done.stdout[-600:],done.stderr[-300:])
base='worker_shutdown_timeout 1m;\nevents { worker_connections 4096; }\nhttp {\n large_client_header_buffers 4 64k;\n include /etc/nginx/conf.d/*.conf;\n server {\n include /etc/nginx/snippets/*.conf;\n include /etc/nginx/conf.d/tailgate/server.conf;\n }\n}\n'
d("glob crosses /", {"nginx.conf":base,"conf.d/a.conf":"server { include /etc/nginx/snippets/cors/on.conf; }","conf.d/tailgate/server.conf":srv,"snippets/cors/on.conf":"add_header Access-Control-Allow-Origin *;","snippets/hsts.conf":"add_header Strict-Transport-Security x;"})
d("glob recursion", {"nginx.conf":base,"conf.d/a.conf":"server { include /etc/nginx/conf.d/sub/all.conf; }","conf.d/sub/all.conf":"include /etc/nginx/conf.d/*.d.conf;\ninclude /etc/nginx/conf.d/*/*.loc;\ninclude /etc/nginx/conf.d/*.conf.x;","conf.d/tailgate/server.conf":srv})
d("glob recursion2", {"nginx.conf":base.replace("conf.d/*.conf","vhosts/*.conf"),"vhosts/shared/auth.conf":"include /etc/nginx/vhosts/shared/*/more.conf;\ninclude /etc/nginx/vhosts/*th.conf;","vhosts/a.conf":"server { include vhosts/shared/auth.conf; }","conf.d/tailgate/server.conf":srv})
d("types regex brace", {"nginx.conf":base.replace("server {\n",'map $x $y { "~^a{2}" 1; ~^b\\{2\\} 2; default "x;y"; }\n server {\n if ($http_a ~ "^a{3}$") { return 400; }\n',1),"conf.d/tailgate/server.conf":srv})
d("hash in word", {"nginx.conf":base.replace("server {\n",'server {\n rewrite ^/a#b$ /c; add_header X "a # b"; set $q \'it\\\'s\';\n',1),"conf.d/tailgate/server.conf":srv})
d("limit_except etc", {"nginx.conf":base.replace("server {\n",'server {\n location /api/ { limit_except GET { deny all; } if ($a) { return 403; } }\n',1),"conf.d/tailgate/server.conf":srv})
d("auto workers", {"nginx.conf":base.replace("4096","auto"),"conf.d/tailgate/server.conf":srv})
d("worker_connections after", {"nginx.conf":base.replace("large_client_header_buffers 4 64k;","large_client_header_buffers 4 64K;"),"conf.d/tailgate/server.conf":srv})
# stock Debian
st=open("/etc/nginx/nginx.conf").read()
os.makedirs("stock/temp",exist_ok=True)
st=st.replace("include /etc/nginx/modules-enabled/*.conf;","").replace("include /etc/nginx/conf.d/*.conf;",f"include {l.nginx_dir}/http.conf;").replace("include /etc/nginx/sites-enabled/*;",f"server {{ listen 127.0.0.1:3392; include {l.nginx_dir}/server.conf; }}").replace("/run/nginx.pid","/tmp/w/hunt-E/stock/pid").replace("/var/log/nginx","/tmp/w/hunt-E/stock")
open("stock/n.conf","w").write(st)
print(subprocess.run(["/usr/sbin/nginx","-t","-p","/tmp/w/hunt-E/stock","-e","/tmp/w/hunt-E/stock/e","-c","/tmp/w/hunt-E/stock/n.conf"],capture_output=True,text=True).stderr)
o=subprocess.run(["/usr/sbin/nginx","-T","-q","-p","/tmp/w/hunt-E/stock","-e","/tmp/w/hunt-E/stock/e","-c","/tmp/w/hunt-E/stock/n.conf"],capture_output=True,text=True).stdout
done=subprocess.run([W+"/nginx/render","--doctor","-"],input=o,capture_output=True,text=True); print(done.returncode,done.stdout,done.stderr)
l.restore()
