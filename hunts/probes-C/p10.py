from base import *
import os, signal, uuid, re, threading
try: os.unlink(H/"a10.sock")
except FileNotFoundError: pass
A=Application(H/"a10.sock")
S=up("s10",{"route.job.on_gap":"event","route.job.record_grace_ms":0},config=DEPLOY/"blog-application.toml",application=A.url)
try:
    job="j"+uuid.uuid4().hex[:6]; sp=f"/api/v1/jobs/{job}/status"
    A.answers[sp]=(200,{"status":"running"})
    s=open_stream(S,f"/api/v1/jobs/{job}/stream",via="plain",headers={"Accept":"text/event-stream"}); s.take_events(2)
    A.answers[sp]=(429,{},{"Retry-After":"77"})
    S.restart("redis",kill=True)
    t=time.time()
    while s.ended is None and time.time()-t<12: s.pump(.2)
    print("after the loss, application 429: ended",s.ended,"after",round(time.time()-t,1),bytes(s.raw)[-160:])
finally: S.down(); A.close()
S=up("s10b")
try:
    os.kill(S.gateway_pid, signal.SIGSTOP)
    def one(m,p):
        t=time.time()
        try: r=fetch(S,p,method=m,via="plain",timeout=100).status
        except Exception as e: r=repr(e)[:60]
        print("stalled gateway",m,p,r,round(time.time()-t,1),flush=True)
    ts=[threading.Thread(target=one,args=a) for a in (("POST","/api/jobs/j1/stream"),("POST",P),("HEAD","/api/jobs/j1/stream"))]
    [t.start() for t in ts]; [t.join() for t in ts]
    os.kill(S.gateway_pid, signal.SIGCONT)
finally: S.down()
