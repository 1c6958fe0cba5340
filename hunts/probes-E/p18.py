from h import *
L, l = site("L")
bad={"Authorization":"Basic "+base64.b64encode(b"alice:wrong").decode()}
l.use(f'auth_basic x; auth_basic_user_file {l.file_of_passwords()}; error_log /tmp/w/hunt-E/site-error.log; limit_req zone=aa; ', http="limit_req_zone $server_name zone=aa:32k rate=1r/m;", before="location = /pg { root /tmp; limit_req_dry_run on; }")
log="/tmp/w/hunt-E/site-error.log"
for p in (ANY, "/api/jobs/x/logs", "/pg"):
    n=os.path.getsize(log); a=fetch(L,p,headers=bad,via="plain"); time.sleep(.2); print(p,a.status,open(log).read()[n:][:200])
# http2 concurrent streams
l.use("http2_max_concurrent_streams 3;")
import h2.connection,h2.config
sys.path.insert(0,W+"/tests/e2e/nginx")
from test_header_size import Connection
c=Connection(L); ids=[c.ask(ANY,{}) for _ in range(5)] if 0 else []
try:
    for i in range(5): ids.append(c.ask(ANY,{}))
    c.until(lambda: len(c.status)>=3,3); print("h2 statuses", c.status)
except Exception as e: print("h2", type(e), str(e)[:200], c.status)
l.use("", before="location /api/ { return 200 app; }  location ~ ^/api/v2/ { return 200 v2; }")
print(l.doctor(), fetch(L,"/api/zzz",via="plain").raw)
# hidden by rewrite, but also app's rewriting
l.restore()
