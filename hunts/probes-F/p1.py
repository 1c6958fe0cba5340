import subprocess,os,re,sys
B="/tmp/w/keys2/build/release/tailgate"
src=open("/tmp/w/keys2/tests/unit/config/effects_test.cpp").read()
base=re.search(r'kEveryKind = R"\((.*?)\)";',src,re.S)[1]
F="/tmp/w/hunt-F/base.toml"; open(F,"w").write(base)
def check(sets, env=None, text=None):
    f=F
    if text is not None:
        f="/tmp/w/hunt-F/alt.toml"; open(f,"w").write(text)
    cmd=[B,"--check","--config",f]
    for s in sets: cmd+=["--set",s]
    p=subprocess.run(cmd,capture_output=True,text=True,env={**os.environ,**(env or {})})
    out=(p.stdout+p.stderr).strip().replace(f,"F")
    print(("ACCEPT " if p.returncode==0 else "refuse "),sets,env or "","" if p.returncode==0 else "\n      "+out)
print("--- base"); check([])
for s in [
 "provider.secret.leeway_s=0.9","provider.secret.leeway_s=0.0001","provider.jwks.refresh_s=1.9","identity.life_s=60.9",
 "route.raw.max_age_s=0.0004","route.raw.retry_ms=1.4","route.log.end_grace_ms=0.4","route.raw.record_grace_ms=0.4","drain.settle_s=0.0004",
 'route.raw.credentials=["bearer","bearer"]','route.raw.credentials=["bearer","query:t","query:t"]','route.raw.providers=["secret","secret"]',
 'provider.secret.algorithms=["HS256","HS256"]','record.http.forward=["cookie","Cookie"]','record.http.forward=["x-a","x-a"]',
 'cors.origins=["https://a.example","https://a.example"]','record.hash.terminal=["ready","ready"]','route.named.name_from=["event","event"]',
 'route.named.ends_on.events=["a","a"]','provider.jwks.jwks=["file:/a","file:/a"]','provider.secret.required=["exp","exp"]',
 'provider.secret.secret=["0123456789abcdef","0123456789abcdef"]','route.raw.ending=[{status=["ready","ready"],data="{}"}]',
 'route.raw.standing=[{status=["a","a"],data="{}"}]',
 'route.raw.credentials=["session-header:authorization"]','route.raw.credentials=["session-header:cookie"]','route.raw.credentials=["session-header:x-tailgate-identity"]',
 'route.raw.credentials=["cookie:a b"]','route.raw.credentials=["query:"]',
 'limits.memory_mb=1','limits.memory_mb=0','limits.memory_mb=-1','limits.streams=-1','limits.streams=1e9','limits.streams=99999999999',
 'drain.deadline_s=0.1','drain.settle_s=25','redis.wait_s=60','record.http.timeout_s=60','route.raw.heartbeat.every_s=3600','route.raw.heartbeat.every_s=0',
 'route.raw.trailing_slash=true','route.raw.path="/raw/{id}/"','route.raw.path="/"',
 'identity.key_file="keys"','provider.jwks.jwks="file:keys.json"','listen.streams="unix:rel.sock"','listen.streams="unix:/'+'a'*120+'"','listen.ops="localhost:9180"','listen.ops="0.0.0.0:0"','listen.ops=":9180"',
 'listen.socket_mode="660"','listen.socket_mode="00660"','listen.socket_mode="0o660"','listen.socket_mode="1660"','listen.socket_mode="0600 "','listen.socket_mode="0060"','listen.socket_mode=0660','listen.socket_mode=432',
 'redis.url="redis://h/1?db=2"','redis.url="redis://u:p@h?password=q"','redis.url="redis://h?ssl_cert_reqs=none"','redis.url="redis://h?socket_timeout=5"','redis.url="redis://h:0"','redis.url="redis://h/abc"','redis.url="redis://h//0"','redis.url="redis://h/0/1"','redis.url="REDIS://h"','redis.url="redis://h#x"','redis.url="redis://[::1]"','redis.url="unix:rel"','redis.url="redis://:@h"','redis.url="redis://h?db=1&db=2"','redis.url="redis+sentinel://h"',
 'route.raw.hello=[]','route.raw.standing=[]','route.raw.ending=[]','route.raw.hello=[{}]',
 'provider.secret.audience=[]','provider.secret.audience=""','provider.secret.issuer=""','provider.secret.required=[]','provider.secret.subject=""',
 'route.named.name_from=[]','route.named.data_from=""','route.log.entry=[]',
 'route.raw.event="a\\nb"','route.raw.event="message"','route.raw.id_from=""','route.raw.id_from="a.b"',
 'cors.allowed_headers=["*"]','cors.allowed_headers=[]',
 'route.log.framing="entry"','route.pages.framing="entry"','route.pages.event="x"',
 'route.raw.ends_on.field=""','route.raw.ends_on.values=[]','route.open-raw.ends_on.field="s"','route.raw.ends_on.field="s"',
 'provider.secret.at_expiry="end"',
 'record.hash.user=""','record.hash.fields.x={}','record.hash.fields.x.from=""','record.hash.fields.x.absent="[1]"',
 'limits.trusted_proxies=["10.0.0.1/33"]','limits.trusted_proxies=["10.0.0.1/8"]','limits.trusted_proxies=["0.0.0.0/0"]',
 'redis.wakeups="notifications"',
 ]: check([s])
print("--- combos")
check(['cors.origins=["https://a.example"]','route.raw.credentials=["session-header:x-visitor"]','route.raw.providers=[]','record.hash.session="s"'])
check(['cors.origins=["https://a.example"]','cors.allowed_headers=[]'])
check(['limits.streams_per_address=5','limits.trusted_proxies=["10.0.0.1","10.0.0.1"]'])
check(['limits.streams_per_address=5','limits.trusted_proxies=["10.0.0.1/8"]'])
check(['route.raw.max_age_s=0','route.raw.age_notice={before_s=5,data="{}"}'])
check(['route.raw.max_age_s=10','route.raw.heartbeat.every_s=60'])
check(['record.http.status=""'])
check(['record.without-owner.status="s"','record.without-owner.terminal=[]'])
check(['record.without-owner.status=""','record.without-owner.terminal=["x"]','route.open-raw.record="without-owner"'])
check(['record.hash.status=""'])
check(['route.open-raw.record="http"'])
check(['redis.tls_leg="/leg"','redis.url="rediss://h"'])
check(['redis.tls_leg="/leg"','redis.url="unix:/x"'])
check(['redis.url="rediss://h?ssl_cert_reqs=none"','redis.tls_leg="/leg"'])
print("--- env")
for e in [{"TAILGATE_LISTEN_STREAM":"unix:/x"},{"TAILGATE_CORS_ORIGINS":"https://a,https://b"},{"TAILGATE_CORS_ORIGINS":"   "},{"TAILGATE_LISTEN_OPS":""},{"TAILGATE_REDIS_URL":" redis://h "},{"TAILGATE_LISTEN_OPS":" 127.0.0.1:9180"},{"TAILGATE_LISTEN_OPS":"127.0.0.1:9180\n"},{"TAILGATE_REDIS_LEG":"/leg"},{"TAILGATE_REDIS_LEG":"leg"},{"TAILGATE_IDENTITY_KEY_FILE":"k"},{"TAILGATE_REDIS_URL":"http://x"}]: check([],e)
print("--- cmd")
for a in [["--check","--print","routes","--config",F],["--print","keys","--config","/none"],["--config",F,"--config","/none","--check"],["--check","--config",F,"--set","redis.url=redis://a","--set","redis.url_env=HOME"],["--version","--check"]]:
    p=subprocess.run([B]+a,capture_output=True,text=True); print(p.returncode,a,(p.stdout+p.stderr)[:200].replace("\n"," | "))
