from h import *
import urllib.request, urllib.error, collections
def get(url,timeout=8):
    b=time.monotonic()
    try:
        with urllib.request.urlopen(url,timeout=timeout) as a: st,t=a.status,a.read().decode()
    except urllib.error.HTTPError as e: st,t=e.code,e.read().decode()
    except Exception as e: st,t=0,repr(e)[:80]
    return st,t[:40],time.monotonic()-b
def hist(s,n=20):
    for p in ("/healthz","/readyz"):
        c=collections.Counter(); m=0
        for _ in range(n):
            a,b,d=get(s.plain_url+p); c[(a,b)]+=1; m=max(m,d)
        print("   ",p,dict(c),"slowest",round(m,2))
s=up("p10",instances=3)
try:
    pids=s.facts["pids"]["gateways"]
    print("one of three hung"); os.kill(pids[0],19); hist(s)
    print("two of three hung"); os.kill(pids[1],19); hist(s)
    os.kill(pids[0],18); os.kill(pids[1],18); time.sleep(.5)
    print("one hung, one draining, one ready"); os.kill(pids[0],19); os.kill(pids[1],15); time.sleep(.3); hist(s)
    os.kill(pids[0],18)
    print("one killed"); os.kill(pids[2],9); time.sleep(.3); hist(s)
finally:
    close_all(); s.down()
from support.site import Site
s=up("p10b",{"drain.settle_s":1,"drain.deadline_s":8})
try:
    site=Site(s)
    site.use(server=f'auth_basic "staging"; auth_basic_user_file {site.file_of_passwords()};'); print("auth_basic"); hist(s,2)
    site.use(server='deny all;'); print("deny all"); hist(s,2)
    for d in ('error_page 503 =200 /page;','error_page 503 =200 /page; recursive_error_pages on;','error_page 502 503 504 =200 /page; recursive_error_pages on; proxy_intercept_errors on;','error_page 404 /page;', 'return 301 https://x$request_uri;'):
        site.use(server=d); print(d); hist(s,2); os.kill(s.gateway_pid,19); hist(s,2); os.kill(s.gateway_pid,18); time.sleep(.3)
    site.use(server='proxy_next_upstream off; proxy_read_timeout 60s; proxy_connect_timeout 60s; client_max_body_size 0; limit_except GET { }' if False else 'proxy_next_upstream off; proxy_read_timeout 60s;'); os.kill(s.gateway_pid,19); print("proxy_*"); hist(s,2); os.kill(s.gateway_pid,18)
    site.use(http='proxy_cache_path /tmp/w/hunt-G/cache keys_zone=z:1m; ', server='proxy_cache z; proxy_cache_valid any 1m; proxy_cache_key x;'); print("proxy_cache"); hist(s,2); os.kill(s.gateway_pid,15); time.sleep(.2); hist(s,2)
finally:
    close_all(); s.down()
