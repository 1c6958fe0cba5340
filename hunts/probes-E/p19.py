from h import *
import re
D, d = site("D")
d.use('add_header Strict-Transport-Security "max-age=1" always;')
for p in ("/_tailgate/auth","/readyz","/healthz",ANY,"/api/jobs/x/logs"):
    a=fetch(D,p,via="plain"); print(p,a.status,a.headers.get("strict-transport-security"),a.raw[:50])
c=d.nginx_dir/"canary.conf"; t=c.read_text()
c.write_text(re.sub(r"(?m)\{ 100% tailgate; \* application; \}$","{ * application; }",t))
d.use('add_header Strict-Transport-Security "max-age=1" always;')
a=fetch(D,ANY,via="plain"); print("canary without application",a.status,a.headers.get("strict-transport-security"))
print(d.doctor())
c.write_text(t)
# ssi include of a route by the site; add_before_body of a page pointing to a route
L,l=site("L")
temp=L.dir/"temp"; (temp/"inc.html").write_text('A<!--#include virtual="/api/jobs/j1/logs" -->B')
l.use("", before=f"location = /inc.html {{ root {temp}; ssi on; }}")
print("ssi", fetch(L,"/inc.html",via="plain").raw[:200], fetch(L,"/inc.html",via="plain",headers=L.bearer()).raw[:200])
# X-Accel-Redirect to a route
# error_page of site to a route
l.use("error_page 403 = /api/sse/stream; error_page 404 = /api/jobs/j1/logs;", before="location = /f { return 403; } location = /g { return 404; }")
def one(p,h):
    try:
        with open_stream(L,p,headers=h,via="plain") as a: a.pump(.2); return a.status,a.raw[:60]
    except Exception as e: return repr(e)[:100]
print("error_page to route", one("/f",{}), one("/g",{}), one("/g",L.bearer()), one("/g",L.bearer("bob")))
# limit_except, satisfy in combination with auth_request of the site
app="location = /oauth2/auth { internal; if ($cookie_s = 1) { return 204; } return 401; }"
l.use(f"satisfy any; auth_request /oauth2/auth; deny all; auth_basic x; auth_basic_user_file {l.file_of_passwords()};", before=app)
pw={"Authorization":"Basic "+base64.b64encode(b"alice:secret").decode()}
print("satisfy any + auth_request", one(ANY,{}), one(ANY,{"Cookie":"s=1"}), one(ANY,pw), one("/api/jobs/j1/logs",{**L.bearer(),"Cookie":"s=1"}), one("/api/jobs/j1/logs",{**L.bearer()}))
# gateway dead? limit: own answers with site's auth_request
# auth_request answering 500
l.use("auth_request /a;", before="location = /a { return 500; }"); print("auth 500", one(ANY,{}), one("/api/jobs/j1/logs",L.bearer()))
# http level if map volatile
l.use("", http="map $uri $blk { volatile; default 1; ~^/api 0; }"); 
l.use("if ($blk) { return 403; }", http="map $uri $blk { volatile; default 1; ~^/api 0; }"); print("volatile map", one("/api/jobs/j1/logs",L.bearer()), l.doctor()[0])
l.use("if ($blk) { return 403; }", http="map $uri $blk { default 1; ~^/api 0; }"); print("map", one("/api/jobs/j1/logs",L.bearer()), l.doctor()[0])
l.use("if ($blk) { return 403; }", http='map "$request_method:$uri" $blk { default 1; ~/api 0; }'); print("map2", one("/api/jobs/j1/logs",L.bearer()))
l.restore(); d.restore()
