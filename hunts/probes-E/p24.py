from h import *
import re
L,l=site("L")
files={f:l.nginx_dir/f for f in ("http.conf","server.conf","canary.conf")}
old={f:p.read_text() for f,p in files.items()}
try:
    files["http.conf"].write_text(old["http.conf"].replace('application  "@tg_application";','application  "@tg_canary";'))
    files["server.conf"].write_text(old["server.conf"]+f"\nlocation @tg_canary {{\n include {l.nginx_dir}/past-site-rules.conf;\n auth_request off;\n include {l.nginx_dir}/to-application.conf;\n}}\n")
    files["canary.conf"].write_text(re.sub(r"(?m)\{ 100% tailgate; \* application; \}$","{ * application; }",old["canary.conf"]))
    app="location = /oauth2/auth { internal; proxy_pass http://unix:/tmp/w/hunt-E/app.sock:/oauth2/auth; proxy_pass_request_body off; proxy_set_header Content-Length \"\"; }"
    l.use("auth_request /oauth2/auth;", before=app)
    n=len(open("app.log").readlines())
    with open_stream(L,ANY,headers={"Cookie":"s=1"},via="plain") as a: print(a.status)
    with open_stream(L,ANY,via="plain") as a: print(a.status)
    time.sleep(.2); print([json.loads(x)["p"] for x in open("app.log").readlines()[n:]])
finally:
    for f,p in files.items(): p.write_text(old[f])
    l.restore()
