from base import *
import os, uuid, re
try: os.unlink(H/"a13.sock")
except FileNotFoundError: pass
from support.nginx_system import Application as Echo
A=Echo(H/"a13.sock")
S=up("s13",{"cors.origins":["https://x.example"]},application=f"unix:{H}/a13.sock",nginx_settings={"TG_SHARE":"spools=cookie:beta=yes"})
try:
    for lines in (["beta=yes"],["a=b","beta=yes"],["a=b","c=d; beta=yes"],["beta=no","beta=yes"]):
        for via,http in (("plain","1.1"),("tls","2")):
            s=open_stream(S,P,headers=[("Cookie",l) for l in lines],via=via,http=http); print(lines,http,"application" if "x-application" in s.headers else "tailgate"); s.close()
    bj="b"+uuid.uuid4().hex[:6]; ids=Builder(S.redis,bj).create().log_many(6)
    s=open_stream(S,f"/api/jobs/{bj}/logs/stream?lastEventId="+ids[4],headers=[*S.bearer().items(),("Last-Event-ID",ids[1])],via="plain"); time.sleep(.4); s.pump()
    print("header old + query new:", len(re.findall(rb"event: log",bytes(s.raw))),"lines (1 is new)")
    for o in (["https://x.example","https://evil.example"],["https://evil.example","https://x.example"]):
        s=fetch(S,f"/api/jobs/{bj}/logs",headers=[*S.bearer().items(),*[("Origin",x) for x in o]],via="plain"); print(o,s.status,s.headers.get("access-control-allow-origin"))
    for h in ([("X-Tailgate-Identity","a"),("x-tailgate-identity","b"),("X-Tailgate-Verdict","503-x")],[("X_Tailgate_Identity","a")]):
        s=fetch(S,f"/api/jobs/{bj}/logs",headers=h,via="plain"); print(h,s.status,s.headers.get("www-authenticate"))
finally: S.down()
