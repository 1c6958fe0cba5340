from lab import *
os.environ["TAILGATE_BINARY"]=B
sys.path.insert(0,"/tmp/w/keys2/tests/e2e/nginx"); sys.path.insert(0,"/tmp/w/keys2/tests/e2e")
from support.stack import Stack
import importlib.util
spec=importlib.util.spec_from_file_location("ths","/tmp/w/keys2/tests/e2e/nginx/test_header_size.py"); m=importlib.util.module_from_spec(spec); spec.loader.exec_module(m)
from support.clients import open_stream
st=Stack.up(ROOT/"s")
try:
    for size in (48000,49500,60000,65400,65530,65600,66000,70000,100000,200000):
        c=m.Connection(st); s=c.ask("/api/sse/stream",{})
        c.until(lambda: c.body[s].startswith(b"retry:"))
        try:
            r=c.ask("/api/jobs/x/logs",{"authorization":"Bearer "+"a"*size}); c.until(lambda: r in c.status,3); print(size,"status",c.status[r])
        except BaseException as e: print(size,"ENDS",type(e).__name__,str(e)[:100])
    # many headers that together exceed
    for n in (20,60,120,199,250,600):
        c=m.Connection(st); s=c.ask("/api/sse/stream",{}); c.until(lambda: c.body[s].startswith(b"retry:"))
        try:
            r=c.ask("/api/jobs/x/logs",{f"x-{i}":"a"*1500 for i in range(n)}); c.until(lambda: r in c.status,3); print(n,"headers of 1500: status",c.status[r])
        except BaseException as e: print(n,"ENDS",type(e).__name__,str(e)[:100])
    with open_stream(st,"/api/jobs/x/logs",headers={"X-Pad":"a"*100000},http="2") as a: print("curl-like h2 100000:",a.status)
    import subprocess
    for t in ("builder",): 
        H=st.bearer(); print({k:len(v) for k,v in H.items()})
    # preflights
    st2=None
finally: st.down()
st=Stack.up(ROOT/"s",{"cors.origins":["https://a.example"]})
try:
    from support.clients import fetch
    for via in (None,"gateway"):
        for rh in ("traceparent","x-foo","baggage,sentry-trace,authorization"):
            kw={"via":"gateway"} if via else {}
            a=fetch(st,"/api/jobs/x/logs",method="OPTIONS",headers={"Origin":"https://a.example","Access-Control-Request-Method":"GET","Access-Control-Request-Headers":rh},**kw); print(via,a.status,{k:v for k,v in a.headers.items() if k.lower().startswith("access")})
finally: st.down()
