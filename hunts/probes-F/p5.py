from lab import *
import os; os.environ["TAILGATE_BINARY"]=B
from support.stack import Stack
from support.clients import fetch, open_stream
from support.publishers import Builder
st=Stack.up(ROOT/"s")
try:
    b=Builder(st.redis,"j1").create(); b.log("x")
    P="/api/jobs/j1/logs"; S="/api/jobs/j1/logs/stream"
    H=st.bearer()
    def one(path,h,http,method="GET"):
        try:
            with open_stream(st,path,headers=h,http=http,method=method) as a: return a.status
        except Exception as e: return repr(e)[:80]
    for http in ("1.1","2"):
        for path in (P,S):
            last=None
            for n in [1000,8000,12000,16000,20000,30000,40000]+list(range(44000,50500,250))+[55000,60000,64000,65000,65400,65536,66000,70000,100000]:
                r=one(path,{**H,"X-Pad":"a"*n},http)
                if r!=last: print(http,path,"pad",n,"->",r)
                last=r
            last=None
            for n in [1000,8000,12000,20000,30000,40000]+list(range(44000,50500,250))+[55000,60000,65000,66000]:
                r=one(path+"?x="+"a"*n,H,http)
                if r!=last: print(http,path,"query",n,"->",r)
                last=r
            last=None
            for n in range(20,300,20):
                h={**H,**{f"X-P{i}":"a" for i in range(n)}}
                r=one(path,h,http)
                if r!=last: print(http,path,"lines",n,"->",r)
                last=r
        for tn in (1000,8000,9000,20000,40000):
            print(http,"?token=",tn,one("/api/v1/jobs/j1/stream?token="+"a"*tn,{},http))
        print(http,"R5 pad 30000", one("/api/sse/stream",{"X-Pad":"a"*30000},http), "60000",one("/api/sse/stream",{"X-Pad":"a"*60000},http))
    print(st.metrics().get('tailgate_streams_open{route="logs"}'))
    # CORS preflights
    import http.client
finally: st.down()
