# all chars, raw and encoded, all entrances
from lib import *
from support.stack import Stack
from support.clients import fetch, open_stream, raw_answer, sealed, send
from support.application import Application
import pathlib, tempfile, time
d=pathlib.Path('/tmp/w/hunt-D/s1'); 
import shutil; shutil.rmtree(d,ignore_errors=True)
class App(Application): pass
app=App('/tmp/w/hunt-D/a1.sock') if not os.path.exists('/tmp/w/hunt-D/a1.sock') else (os.unlink('/tmp/w/hunt-D/a1.sock'), App('/tmp/w/hunt-D/a1.sock'))[1]
class D(dict):
    def get(self,k,default=None):
        return (200,{"status":"running"})
app.answers=D()
stack=Stack.up(d,config='/tmp/w/hunt-D/probe.toml',application=app.url)
try:
    B=stack.bearer("mia","orgs")
    chars="!$&()*+,:;<=>@[]^|~"
    bad=[]
    for c in chars:
        jid=f"a{c}b"
        stack.redis.hset("rec:"+jid,mapping={"owner":"mia","status":"running"})
        stack.redis.delete("charslog:"+jid)
        stack.redis.xadd("charslog:"+jid,{"text":"L"+c})
        for w in (c, "%%%02X"%ord(c), "%%%02x"%ord(c)):
            for http,via in (("1.1","tls"),("2","tls"),("1.1","plain"),("1.1","gateway"),):
                path=f"/api/chars/a{w}b/stream"
                try:
                    h=B if via!="gateway" else sealed(stack,path,B)
                    s=open_stream(stack,path,headers=h,http=http,via=via)
                    if s.status!=200: bad.append((path,http,via,s.status)); continue
                    ev=s.take_events(2)
                    if ev[0].json()["id"]!=jid or ev[1].data!="x "+jid: bad.append((path,http,via,[e.data for e in ev]))
                    stack.redis.publish("chars:"+jid,'{"n":1}')
                    if s.next_event().json()!={"n":1}: bad.append((path,'pub'))
                    b=[x for x in s.blocks_until(":")]
                    s.close()
                    s=open_stream(stack,f"/api/chars/a{w}b/log",headers={**(B if via!='gateway' else sealed(stack,f"/api/chars/a{w}b/log",B)),"Last-Event-ID":"0-0"},http=http,via=via)
                    if s.status!=200 or s.next_event().json()["text"]!="L"+c: bad.append((path,'log',http,via,s.status))
                    s.close()
                    if via!="gateway":
                        n=len(app.asked)
                        s=open_stream(stack,f"/api/asked/a{w}b",headers=B,http=http,via=via)
                        if s.status!=200 or urllib.parse.unquote(app.asked[-1][0])!="/status/"+jid: bad.append((path,'asked',s.status,app.asked[-1:]))
                        s.close()
                except Exception as e: bad.append((path,http,via,repr(e)[:200]))
    print("BAD",len(bad)); [print(b) for b in bad[:60]]
    # normalised paths with raw-only chars
    for w in ("a[b","a|b","a^b","a<b","a:b","a~b","ab"):
        jid=w
        stack.redis.hset("rec:"+jid,mapping={"owner":"mia","status":"running"})
        for pre in ("/api//chars/","/api/./chars/","/x/../api/chars/", "/%61pi/chars/"):
            r=send(stack,f"{pre}{w}/stream",headers=B,via="plain").wait_head()
            print(pre,w,r.status, r.raw[:80]); r.close()
finally:
    if '--keep' not in sys.argv: stack.down()
    app.close()
