from base import *
import collections, uuid, os, socket, subprocess, json
for f in ("a7.sock","a7b.sock"):
    try: os.unlink(H/f)
    except FileNotFoundError: pass
import contextlib, io
from support.nginx_system import Application as Echo
E=Echo(H/"a7.sock")
S=up("s7",application=f"unix:{H}/a7.sock",nginx_settings={"TG_SHARE":"spools=50%","TG_BEHIND_PROXY":"yes"})
try:
    import urllib.parse
    port=urllib.parse.urlsplit(S.plain_url).port
    def side(src, xff):
        c=socket.socket(); c.bind((src,0)); c.connect(("127.0.0.1",port)); c.settimeout(3)
        c.sendall(f"GET {P} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: one browser\r\nX-Forwarded-For: {xff}\r\n\r\n".encode())
        d=c.recv(4096); c.close(); return "application" if b"x-application" in d.lower() else "tailgate"
    print("canary, one client, 8 nodes of the load balancer:", collections.Counter(side(f"127.0.0.{i}","203.0.113.9") for i in range(1,9)))
finally: S.down()
# http record with who=anyone / auth=gateway
A=Application(H/"a7b.sock")
cfg=(DEPLOY/"blog-application.toml").read_text()
def variant(name, edit, settings=None):
    f=H/(name+".toml"); f.write_text(edit(cfg))
    return up(name, settings, config=f, application=A.url)
def show(S,job,title,query="",headers=()):
    A.answers[f"/api/v1/jobs/{job}/status"]=(200,{"status":"running"})
    s=open_stream(S,f"/api/v1/jobs/{job}/stream"+query,headers=list(headers),via="plain"); print("  ",title,s.status,s.headers.get("www-authenticate")); s.close()
import re
S=None
try:
    S=variant("s7any", lambda c: c.replace('who       = "owner"','who = "anyone"').replace('auth      = "application"','#').replace('credentials = [','#credentials = ['))
    show(S,"j1","anyone"); show(S,"j2","anyone ?x=%","?x=%"); show(S,"j3","anyone ?x=%zz&y","?utm=100%&y=1"); show(S,"j4","anyone + cookie with DEL","",[("Cookie","a=\x7f")])
except Exception as e: print("anyone:",str(e)[:600])
finally:
    if S: S.down()
S=None
try:
    S=variant("s7gw", lambda c: c.replace('auth      = "application"','auth = "gateway"\nproviders=["blog"]').replace('credentials = ["query:token", "session-query:sessionId", "session-query:sessionid"]','credentials = ["bearer"]')+'\n[provider.blog]\nsecret_env="JWT_SECRET"\nalgorithms=["HS256"]\nsubject="userId"\n')
    t=[("Authorization","Bearer "+S.token("blog","alice"))]
    show(S,"j1","gateway+bearer","",t); show(S,"j2","gateway+bearer ?x=%","?x=%",t); show(S,"j3","gateway+bearer ?utm=100%&y","?utm=100%&y=1",t)
except Exception as e: print("gw:",str(e)[:600])
finally:
    if S: S.down()
A.close()
