from h import *
import re
L, l = site("L")
O={"Origin":"https://app.example.com"}
def one(path, headers, **k):
    try:
        with open_stream(L, path, headers=headers, **{"via":"plain",**k}) as a:
            a.pump(.2)
            return a.status, {k:v for k,v in a.header_list if k.lower() in("location","set-cookie","www-authenticate","x-user","cache-control","content-encoding","strict-transport-security","x-a")}, a.raw[:60]
    except Exception as e: return repr(e)[:160]
Bq=L.bearer()
app="location = /oauth2/auth { internal; proxy_pass http://unix:/tmp/w/hunt-E/app.sock:/oauth2/auth; proxy_pass_request_body off; proxy_set_header Content-Length \"\"; } location @signin { return 302 /signin; }"
print("-- oauth2 proxy pattern")
l.use("auth_request /oauth2/auth; error_page 401 = @signin; auth_request_set $u $upstream_status; add_header X-User $u always;", before=app)
print(l.doctor())
n=len(open("app.log").readlines())
for p in (ANY,"/api/jobs/j1/logs","/other"): print(p, one(p,Bq), one(p,{**Bq,"Cookie":"s=1"}), one(p,{"Cookie":"s=1"}))
print([json.loads(x)["p"] for x in open("app.log").readlines()[n:]])
print("-- canary to the application: site's auth_request asked how often")
canary=Path(l.nginx_dir,"canary.conf"); txt=canary.read_text()
canary.write_text(re.sub(r"(?m)\{ 100% tailgate; \* application; \}$","{ * application; }",txt))
l.use("auth_request /oauth2/auth; mirror /mirror; gzip on; gzip_types *; gzip_min_length 0; sub_filter_types *; sub_filter echo ECHO; add_header X-A b always; expires 1h; limit_rate 10m;", before=app+"location = /mirror { internal; proxy_pass http://unix:/tmp/w/hunt-E/app.sock:/mirrored; }")
n=len(open("app.log").readlines())
print(one(ANY,{"Cookie":"s=1","Accept-Encoding":"gzip"})); time.sleep(.3)
print([json.loads(x)["p"] for x in open("app.log").readlines()[n:]])
l.use("satisfy any; deny all; "+f'auth_basic x; auth_basic_user_file {l.file_of_passwords()};')
pw={"Authorization":"Basic "+base64.b64encode(b"alice:secret").decode()}
print("satisfy any/basic at app", one(ANY,pw), one(ANY,{}))
l.use("proxy_cache_path /tmp/w/hunt-E/cacheL keys_zone=c:1m; " and "", http="proxy_cache_path /tmp/w/hunt-E/cacheL keys_zone=c:1m; proxy_cache c; proxy_cache_valid any 1m; proxy_store off; proxy_hide_header Content-Type;proxy_pass_request_headers off;")
print("app w/ http level", one(ANY,{"Cookie":"s=1"}))
canary.write_text(txt)
print("-- real_ip")
l.use("set_real_ip_from 127.0.0.0/8; real_ip_header X-Forwarded-For; real_ip_recursive on;")
with open_stream(L, ANY, headers={"X-Forwarded-For":"203.0.113.9"}, via="plain") as a: pass
time.sleep(.5); print(L.logs()[-1]); print(L.log_text("nginx-access").splitlines()[-1][:300])
print("-- symlink")
os.path.islink("/tmp/w/hunt-E/ln") or os.symlink(l.nginx_dir,"/tmp/w/hunt-E/ln")
t=l.text
l.text=lambda *a,**k: t(*a,**k).replace(f"include {l.nginx_dir}/","include /tmp/w/hunt-E/ln/")
l.use(); print(l.doctor())
l.text=t
print("-- glob include")
l.use()
print("-- same file twice in conf.d style")
dump=l.whole_configuration()
open("L.dump","w").write(dump)
l.restore()
