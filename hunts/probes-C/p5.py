from base import *
import collections, uuid, re
A=None
from support.nginx_system import Application as Echo
import os
for f in ("a5.sock",):
    try: os.unlink(H/f)
    except FileNotFoundError: pass
A=Echo(H/"a5.sock")
S=up("s5",application=f"unix:{H}/a5.sock",nginx_settings={"TG_SHARE":"spools=50%","TG_BEHIND_PROXY":"yes"})
try:
    def side(xff, agent="one browser"):
        s=open_stream(S,P,headers={"X-Forwarded-For":xff,"User-Agent":agent},via="plain")
        r="application" if "x-application" in s.headers else "tailgate"
        s.close(); return r
    print("canary, one client, no port   ", collections.Counter(side("203.0.113.9") for _ in range(20)))
    print("canary, one client, ports (ALB)", collections.Counter(side(f"203.0.113.9:{40000+i}") for i in range(20)))
    print("canary, v6 ports              ", collections.Counter(side(f"[2001:db8::1]:{40000+i}") for i in range(20)))
    # the application: headers in several lines
    import json
    def app(lines, path="/x"):
        got=raw_answer(S,(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"+"".join(l+"\r\n" for l in lines)+"\r\n").encode(),"plain")
        try: return json.loads(got.partition(b"\r\n\r\n")[2])
        except Exception: return got[:600]
    for lines in (["X-Forwarded-Proto: http","X-Forwarded-Proto: https"],["Forwarded: for=6.6.6.6"],["X-Forwarded-For: 1.1.1.1","X-Forwarded-For: 2.2.2.2"],["X-Forwarded-Host: evil","X-Forwarded-Host: good"]):
        r=app(lines); print(lines, {k:v for k,v in (r.get("headers",r) if isinstance(r,dict) else {"?":r}).items() if "orwarded" in k.lower() or k=="?"})
finally:
    S.down()
S=up("s5b",application=f"unix:{H}/a5.sock",nginx_settings={"TG_BEHIND_PROXY":"no"})
try:
    for lines in (["Forwarded: for=6.6.6.6;proto=http;host=evil"],["X-Forwarded-Proto: http","X-Forwarded-Host: evil"]):
        r=app(lines); print("behind=no",lines, {k:v for k,v in (r.get("headers",r) if isinstance(r,dict) else {"?":r}).items() if "orwarded" in k.lower() or k=="?"})
    # gateway-mode credentials
    job="j"+uuid.uuid4().hex[:6]
    Blog(S.redis, job,"alice","s-1").create("running")
    p=f"/api/v1/jobs/{job}/stream"
    good="accessToken="+S.token("blog","alice")
    def t(title,query="",headers=()):
        s=open_stream(S,p+query,headers=list(headers),via="plain"); print(f"  {title:50}",s.status,s.headers.get("www-authenticate")); s.close()
    t("cookie",headers=[("Cookie",good)])
    t("?token=garbage + cookie","?token=garbage",[("Cookie",good)])
    t("?token=a CRLF + cookie","?token=a%0d%0a",[("Cookie",good)])
    t("?token=&token=garbage + cookie","?token=&token=garbage",[("Cookie",good)])
    t("?sessionId=a CRLF + cookie","?sessionId=a%0d%0ab",[("Cookie",good)])
    t("?sessionId=a CRLF alone","?sessionId=a%0d%0ab")
    t("x-session-id too long","",[("x-session-id","x"*257)])
    t("?sessionId=bad&sessionid=s-1","?sessionId=a%0d&sessionid=s-1")
    t("x-session-id bad + ?sessionId good","?sessionId=s-1",[("x-session-id","a b")])
    t("Authorization Basic + ?token good","?token="+S.token("blog","alice"),[("Authorization","Basic eDp5")])
    t("Authorization empty + ?token good","?token="+S.token("blog","alice"),[("Authorization","")])
    t("Authorization 'Bearer' ctl + cookie","",[("Authorization","Bearer a\x01"),("Cookie",good)])
    t("Authorization 'Bearer ' + cookie","",[("Authorization","Bearer "),("Cookie",good)])
    t("Authorization 'Token x' + cookie","",[("Authorization","Token x"),("Cookie",good)])
    t("cookie with 0x01 in another cookie","",[("Cookie","a=\x01; "+good)])
    # Last-Event-ID in two lines
    bj="b"+uuid.uuid4().hex[:6]
    ids=Builder(S.redis,bj).create().log_many(6)
    for title,pairs in (("first empty",[("Last-Event-ID",""),("Last-Event-ID",ids[2])]),("first garbage",[("Last-Event-ID","x"),("Last-Event-ID",ids[2])]),("good",[("Last-Event-ID",ids[2])]),("joined by a proxy",[("Last-Event-ID",ids[1]+", "+ids[2])])):
        s=open_stream(S,f"/api/jobs/{bj}/logs/stream",headers=[*S.bearer().items(),*pairs],via="plain")
        time.sleep(.4); s.pump(); 
        print("  Last-Event-ID",title, s.status, len(re.findall(rb"event: log",bytes(s.raw))))
        s.close()
finally:
    S.down()
