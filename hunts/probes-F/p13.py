from p2lib import *
import threading
T=LISTEN+'''[redis]
url = "redis://127.0.0.1:8771"
[provider.p]
secret = "0123456789abcdef0123456789abcdef"
algorithms = ["HS256"]
at_expiry = "end"
leeway_s = 0
[record.job]
key = "job:{id}"
user = "user_id"
status = "status"
terminal = ["ready"]
[record.app]
kind = "http"
target = "unix:@D@/app.sock"
path = "/s/{id}"
forward = ["authorization"]
status = "status"
terminal = ["ready"]
'''+"".join(f'''[route.{n}]
path = "/{n}/{{id}}"
source = "{s}"
{fr}
key = "job:{{id}}:{s}"
record = "{rec}"
who = "owner"
providers = ["p"]
credentials = ["bearer"]
record_grace_ms = 700
not_found = "nope"
error_body = '{{"e":${{message}},"n":${{status}}}}'
'''+('' if s=="pages" else '''hello = [{comment="hi"}]
standing = [{status=["run"],text="standing ${status}"}]
ending = [{data='{"end":${status}}'}]
max_age_s = 3
age_notice = {before_s = 1, comment = "old"}
heartbeat = {every_s = 0.5, when = "always", text = "beat"}
retry_ms = 1234
''') for n,s,fr,rec in (("raw","channel",'framing = "raw"\nevent="x"\nid_from="i"\nonly_objects=true',"job"),("named","channel",'framing = "named"\nname_from=["event"]\ndata_from="data"',"job"),("log","log",'entry=["a"]\nevent="l"',"job"),("pages","pages",'entry=["a"]',"job"),("app","channel",'framing = "raw"',"app")))
g=Gate(T,"keys",start=False)
from p7app import App
a=App(str(g.dir/"app.sock")); g.start(); time.sleep(.6); print(g.ops()[1])
def ident(path,exp=600): 
    t=jwt.encode({"sub":"alice","exp":time.time()+exp},"0123456789abcdef0123456789abcdef","HS256"); return g.auth(path,bearer(t))[2]["X-Tailgate-Identity"],t
for n in ("raw","named","log","pages","app"):
    i,t=ident(f"/{n}/404"); t0=time.time(); r=g.get(f"/{n}/404",{"X-Tailgate-Identity":i}) if n!="app" else (0,"","")
    print(n,"missing record:",r[0],r[1],round(time.time()-t0,2))
R.cli("HSET","job:1","user_id","alice","status","run"); R.cli("XADD","job:1:log","*","a","b")
res={}
def follow(n,exp):
    i,t=ident(f"/{n}/1",exp); c=UH(str(g.dir/"streams.sock"),6); c.request("GET",f"/{n}/1",headers={"X-Tailgate-Identity":i,"Authorization":"Bearer "+t}); r=c.getresponse(); b=b""
    try:
        while True:
            d=r.read1(4000)
            if not d: break
            b+=d
    except Exception as e: b+=repr(e).encode()
    res[(n,exp)]=b
th=[threading.Thread(target=follow,args=(n,e)) for n in ("raw","named","log","app") for e in (600,1.5)]
[x.start() for x in th]; time.sleep(.5); R.cli("PUBLISH","job:1:channel",'{"event":"e","data":{"q":1},"i":"7"}'); R.cli("PUBLISH","job:1:channel",'nojson'); R.cli("XADD","job:1:log","*","a","c"); [x.join() for x in th]
for k,v in sorted(res.items()): print(k,v.decode().replace("\n\n"," || ").replace("\n"," / ")[:420])
print([(l["route"],l["why"],l["seconds"]) for l in g.logs("stream.closed")]); g.end(); R.end()
