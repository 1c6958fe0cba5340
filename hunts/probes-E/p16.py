from h import *
B,b=site("B")
def who(job, cookie):
    with open_stream(B, f"/api/v1/jobs/{job}/stream", headers={"Cookie": cookie} if cookie else {}, via="plain") as a: return a.status
print(open(b.nginx_dir/"own-server.conf").read())
b.use(http="proxy_cache_path /tmp/w/hunt-E/cache keys_zone=site:1m; proxy_cache site; proxy_cache_valid 200 1m;")
print("cached, fixed:", who("q2", "user=owner"), who("q2", "user=mallory"), who("q2", ""))
b.use(http="mirror /mirror; proxy_store on; root /tmp/w/hunt-E/store; proxy_pass_request_headers off; sub_filter_types *; sub_filter running failed; add_before_body /x; addition_types *; proxy_bind 127.0.0.1;")
try: print("others, fixed:", who("q3", "user=owner"), who("q3", "user=mallory"), who("q3", ""))
except Exception as e: print(repr(e)[:200])
b.use()
