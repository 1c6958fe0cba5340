from lib import *
from support.stack import Stack
from support.clients import fetch, open_stream, send, sealed, raw_answer
import pathlib, shutil, time, subprocess, signal
d=pathlib.Path('/tmp/w/hunt-D/s8'); shutil.rmtree(d,ignore_errors=True)
stack=Stack.up(d,config='/tmp/w/hunt-D/probe.toml',application="unix:/tmp/w/hunt-D/none.sock")
B=stack.bearer("mia","orgs"); R=stack.redis
try:
    def go(tag):
        bad=[]
        for c in "!$&()*+,:;<=>@[]^|~":
            jid=f"a{c}b"; R.hset("rec:"+jid,mapping={"owner":"mia","status":"running"})
            for p in (f"/api//chars/{jid}/stream",f"/api/./chars/a%{ord(c):02X}b/stream",f"/api/chars/{jid}/stream",f"/old/chars/{jid}/stream"):
                s=send(stack,p,headers=B,via="plain").wait_head()
                if s.status!=200: bad.append((p,s.status))
                else:
                    if s.next_event().json()!={"id":jid}: bad.append((p,'id'))
                s.close()
        print(tag,bad)
    go('before')
    h=next(d.rglob('http.conf')); sv=next(d.rglob('server.conf'))
    t=h.read_text(); old="""    "~^/[A-Za-z0-9._~!$&'()*+,;=:@/-]*\\z"     $uri;"""
    assert old in t; h.write_text(t.replace(old,"""    "~^/[][A-Za-z0-9._~!$&'()*+,;=:@<>^|/-]*\\z"     $uri;"""))
    sv.write_text(sv.read_text().replace("uninitialized_variable_warn off;","uninitialized_variable_warn off;\nrewrite ^/old/(.*)$ /api/$1 last;",1))
    os.kill(stack.nginx_pid,signal.SIGHUP); time.sleep(1)
    go('with class')
    h.write_text(t); os.kill(stack.nginx_pid,signal.SIGHUP); time.sleep(1)
    go('old class + rewrite')
finally:
    stack.down()
