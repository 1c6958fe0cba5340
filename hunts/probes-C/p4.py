from base import *
import os, signal
def st(S,method,path,headers=(),body=b"",via="plain",http="1.1"):
    try:
        a=fetch(S,path,method=method,headers=list(headers),body=body,via=via,http=http,timeout=6)
        return a.status, a.headers.get("allow"), a.headers.get("content-type"), bytes(a.raw[:70])
    except Exception as e: return repr(e)[:90]
def battery(S,title):
    print("#####",title)
    J="/api/jobs/j1"
    for p in (J+"/events/stream",J+"/stream",J+"/logs/stream",J+"/logs",P,"/api/v1/jobs/j1/stream","/api/v1/jobs/j1/stream/"):
        for m in ("POST","PUT","DELETE","PATCH","HEAD","OPTIONS","PROPFIND","TRACE"):
            r=st(S,m,p)
            if r[0]!=405: print("  ",m,p,r)
    for b in (700,1024,1025,16000,16384,16385,17000,70000):
        for via,http in (("plain","1.1"),("tls","2")):
            r=st(S,"POST",P,body=b"x"*b,via=via,http=http); 
            print("   POST body",b,http,r if isinstance(r,str) else r[:2])
    print("   POST chunked", raw_answer(S,b"POST "+P.encode()+b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n","plain",head_suffices=True)[:30])
    print("   POST chunked 20000", raw_answer(S,b"POST "+P.encode()+b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4e20\r\n"+b"x"*20000+b"\r\n0\r\n\r\n","plain",head_suffices=True)[:30])
    print("   POST expect", raw_answer(S,b"POST "+P.encode()+b" HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc","plain",head_suffices=True)[:60])
    print("   POST bad token", st(S,"POST",J+"/stream",[("Authorization","Bearer x")])[:2])
    print("   POST Accept ES", st(S,"POST",J+"/events/stream",[("Accept","text/event-stream")])[:3])
    print("   POST ?limit=x", st(S,"POST",J+"/logs?limit=x")[:2])
    print("   POST bad id", st(S,"POST","/api/jobs/a:b/stream")[:2], "GET bad id", st(S,"GET","/api/jobs/a:b/stream")[:1])
    print("   POST // path", st(S,"POST","/api//jobs/j1/stream")[:2])
    print("   OPTIONS preflight", st(S,"OPTIONS",P,[("Access-Control-Request-Method","GET"),("Origin","https://x.example")])[:2])
    print("   OPTIONS ACRM empty", st(S,"OPTIONS",P,[("Access-Control-Request-Method","")])[:2])
    print("   X-HTTP-Method-Override", st(S,"GET",P,[("X-HTTP-Method-Override","POST"),("Accept","application/json")])[:1] if "down" in title else "-")
    if "down" in title:
        ES="text/event-stream"
        for t,h in (("Accept one line",[("Accept","application/json, "+ES)]),("Accept two lines, ES 2nd",[("Accept","application/json"),("Accept",ES)]),("Accept two, ES 1st",[("Accept",ES),("Accept","application/json")]),
                    ("empty Authorization",[("Accept",ES),("Authorization","")]),("empty x-session-id",[("Accept",ES),("X-Session-Id","")]),("x-session-id 2 lines, first empty",[("Accept",ES),("X-Session-Id",""),("X-Session-Id","s")])):
            for via,http in (("plain","1.1"),("tls","2")):
                s=open_stream(S,P,headers=h,via=via,http=http); print("   GET",t,http,s.status,s.headers.get("content-type")); s.close()
S=up("s4",{"cors.origins":["https://x.example"],"limits.streams":1})
try:
    battery(S,"up")
    held=open_stream(S,P)
    ES="text/event-stream"
    print("##### gateway up, over the limit")
    for t,h in (("Accept two lines, ES 2nd",[("Accept","application/json"),("Accept",ES)]),("empty Authorization",[("Accept",ES),("Authorization","")]),("empty x-session-id",[("Accept",ES),("X-Session-Id","")]),("x-session-id 2 lines",[("Accept",ES),("X-Session-Id",""),("X-Session-Id","s")])):
        s=open_stream(S,P,headers=h,via="plain"); print("   GET",t,s.status,s.headers.get("content-type")); s.close()
    held.close()
    os.kill(S.gateway_pid, signal.SIGSTOP); time.sleep(.2)
    print("stopped: POST", st(S,"POST","/api/jobs/j1/stream"))
    os.kill(S.gateway_pid, signal.SIGCONT)
    S._script("down") if False else None
    os.kill(S.gateway_pid, signal.SIGKILL); time.sleep(.5)
    battery(S,"down")
finally:
    S.down()
