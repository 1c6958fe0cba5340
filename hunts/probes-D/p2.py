from lib import *
from support.stack import Stack
from support.clients import fetch, open_stream, raw_answer, sealed, send
from support.application import Application
import pathlib, shutil, time
d=pathlib.Path('/tmp/w/hunt-D/s2'); shutil.rmtree(d,ignore_errors=True)
if os.path.exists('/tmp/w/hunt-D/a2.sock'): os.unlink('/tmp/w/hunt-D/a2.sock')
app=Application('/tmp/w/hunt-D/a2.sock')
class D(dict):
    def get(self,k,default=None): return (200,{"status":"running"})
app.answers=D()
stack=Stack.up(d,config='/tmp/w/hunt-D/probe.toml',application=app.url,redis_conf=["notify-keyspace-events KEA"])
B=stack.bearer("mia","orgs"); R=stack.redis
def t(name,f):
    try: print(name,'=>',f())
    except Exception as e: print(name,'=> EXC',repr(e)[:300])
try:
    # hole
    R.hset("rec:7",mapping={"owner":"mia","status":"running"})
    R.xadd("org:acme:job:7:logs",{"text":"acme"}); R.xadd("org:umbrella:job:7:logs",{"text":"SECRET of umbrella"})
    t('hole acme',lambda:fetch(stack,"/api/orgs/acme/jobs/7/pages",headers=B).raw)
    t('hole umbrella',lambda:fetch(stack,"/api/orgs/umbrella/jobs/7/pages",headers=B).raw)
    def f():
        s=open_stream(stack,"/api/orgs/umbrella/jobs/7/log",headers={**B,"Last-Event-ID":"0-0"}); return s.status,s.next_event()
    t('hole umbrella log',f)
    # cross route
    def f():
        R.hset("rec:9",mapping={"owner":"noah","status":"running"})
        r=fetch(stack,"/api/private/9",headers=B).status
        s=open_stream(stack,"/api/public/9-secret"); stack.wait_subscribed("job-9-secret")
        R.publish("job-9-secret","top secret of noah"); return r,s.status,s.next_event()
    t('cross route',f)
    # keyevent etc
    def f():
        s=open_stream(stack,"/api/any/__keyevent@0__:hset"); stack.wait_subscribed("__keyevent@0__:hset")
        R.hset("job:private-key-name","a","b"); return s.status,s.next_event()
    t('keyevent',f)
    for c in ("__keyspace@0__:rec:7","__keyspace@1__:rec:7","__redis__:invalidate","tailgate:control:x"):
        t('any '+c,lambda:(fetch(stack,"/api/any/"+c).status))
    for c in ("__redis__/invalidate","tailgate/control:x","__keyspace@0__/x"):
        t('any2 '+c,lambda:(fetch(stack,"/api/any2/"+c).status))
    # int / uuid
    def f(a,b,ch):
        s1=open_stream(stack,a,headers=B); s2=open_stream(stack,b,headers=B)
        R.publish(ch,'{"n":1}'); time.sleep(0.5)
        return s1.status,s2.status,s1.pump().raw,s2.pump().raw, [x[0] for x in app.asked[-2:]]
    t('int',lambda:f("/api/int/7","/api/int/007","n:7"))
    u="123e4567-e89b-12d3-a456-42661417abcd"
    t('uuid',lambda:f("/api/uuid/"+u,"/api/uuid/"+u.upper(),"u:"+u))
    for p in ("/api/int/+7","/api/int/%2B7","/api/int/-7","/api/int/٧","/api/int/%D9%A7","/api/int/7%00","/api/int/7.0","/api/int/0x7","/api/int/99999999999999999999","/api/int/999999999999999999999"):
        t(p,lambda:fetch(stack,p,headers=B,via="plain").status if p.isascii() else raw_answer(stack,("GET "+p+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").encode(),"plain")[:20])
    for p in (u[:-1]+"g","%7B"+u+"%7D","urn:uuid:"+u,u.replace("-","%2D"),u+"%0a"):
        t("uuid "+p,lambda:send(stack,"/api/uuid/"+p,headers=B,via="plain").wait_head().status)
    # record path
    def f(p):
        n=len(app.asked); r=send(stack,p,headers=B,via="plain").wait_head(8); return r.status,r.pump(0.3).raw[:200],[x[0] for x in app.asked[n:]]
    t('braces',lambda:f("/api/braces/7")); t('accent',lambda:f("/api/accent/7"))
    # two orders
    R.hset("rec:a:b",mapping={"owner":"mia","status":"running"}); R.hset("rec:b:a",mapping={"owner":"noah","status":"running"})
    t('ab a b',lambda:send(stack,"/api/ab/a/b",headers=B).wait_head().status)
    t('ab b a',lambda:send(stack,"/api/ab/b/a",headers=B).wait_head().status)
    t('ba a/b (id=a org=b)',lambda:send(stack,"/api/ba/a/b",headers=B).wait_head().status)
    t('ba b/a (id=b org=a)',lambda:send(stack,"/api/ba/b/a",headers=B).wait_head().status)
    i=sealed(stack,"/api/ab/a/b",B)
    for p in ("/api/ab/a/b","/api/ba/b/a","/api/ba/a/b","/api/ab/b/a","/api/ab/a%2Fb/","/api/ab/a/b/"): t('seal on '+p,lambda:send(stack,p,headers=i,via="gateway").wait_head().status)
    for p in ("/api/slash/a/b","/api/slash/a/b/","/api/slash/a/","/api/slash//a/b","/api/slash/a/b//","/api/slash/a/./b","/api/slash/a/../b","/api/slash/a/%2e/b","/api/slash/a%2fb/c","/api/slash/.../b"):
        t(p,lambda:send(stack,p,via="plain").wait_head().status)
    # named dup
    def f(payload):
        s=open_stream(stack,"/api/named/7"); stack.wait_subscribed("named:{7}"); R.publish("named:{7}",payload); 
        try: return s.next_event(1)
        except Exception as e: return 'NONE'
        finally: s.close()
    for p in ('{"event":"a","event":"b","data":1,"data":2}','{"event":"a","event":5,"type":"t","data":1}','{"\\u0065vent":"x","event":"y","data":{"a":1,"a":2}}','{"event":"y","\\u0065vent":"x","status":"run","status":"done"}','{"event":"y","status":"done","status":"run","data":null,"data":"z"}'):
        t(p,lambda:f(p))
    # dup in log entries
    R.hset("rec:d",mapping={"owner":"mia","status":"running"})
    R.execute_command("XADD","charslog:d","*","text","1","a b","x","text","2","text","","é","q")
    s=open_stream(stack,"/api/chars/d/log",headers={**B,"Last-Event-ID":"0-0"}); print(s.next_event())
    print([l for l in stack.logs() if l.get('level') in('error','warning','warn')][-10:])
finally:
    if '--keep' not in sys.argv: stack.down()
    app.close()
