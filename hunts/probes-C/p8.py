from base import *
import os, socket, uuid
for f in ("a8.sock",):
    try: os.unlink(H/f)
    except FileNotFoundError: pass
A=Application(H/"a8.sock")
S=up("s8",{"route.job.record_grace_ms":0},config=DEPLOY/"blog-application.toml",application=A.url,instances=2)
try:
    for st,body,hd in ((500,{},{}),(429,{},{"Retry-After":"77"}),(503,{},{"Retry-After":"77"}),(401,{},{}),(404,{},{})):
        n=[]
        for i in range(4):
            job="j"+uuid.uuid4().hex[:6]; A.answers[f"/api/v1/jobs/{job}/status"]=(st,body,hd)
            r=fetch(S,f"/api/v1/jobs/{job}/stream",via="plain"); n.append((r.status,len(A.asked_for(f"/api/v1/jobs/{job}/status"))))
        print("2 gateways, application answers",st,"-> (status, times asked)",n)
finally: S.down(); A.close()
# listeners on ::1 and on a unix socket
base={"limits.streams_per_address":1,"route.spools.on_unavailable":"status"}
def raw(S,link,lines):
    link.settimeout(3); link.sendall((f"GET {P} HTTP/1.1\r\nHost: x\r\n"+"".join(l+"\r\n" for l in lines)+"\r\n").encode()); return link.recv(300)[9:12].decode()
for frm in ("x-forwarded-for","forwarded"):
  for behind in ("yes","no"):
    port=18000+(os.getpid()+hash(frm+behind))%2000
    S=None
    try:
        S=up("s8b",{**base,"limits.address_from":frm,"limits.trusted_proxies":["::1"]},nginx_settings={"TG_BEHIND_PROXY":behind,"TG_LISTEN_PLAIN":f"[::1]:{port} unix:{H}/l8.sock"},wait="alive")
        def v6(*l):
            c=socket.socket(socket.AF_INET6); c.connect(("::1",port)); return c,raw(S,c,l)
        def ux(*l):
            c=socket.socket(socket.AF_UNIX); c.connect(f"{H}/l8.sock"); return c,raw(S,c,l)
        hdr="Forwarded: for=" if frm=="forwarded" else "X-Forwarded-For: "
        for title,f,reqs in (("v6 peer",v6,[(hdr+"203.0.113.9",)]*2+[(hdr+"203.0.113.8",)]),("v6 peer, no header",v6,[()]*2),("unix peer",ux,[(hdr+"203.0.113.9",)]*2+[(hdr+"203.0.113.8",)]),("unix, no header",ux,[()]*3)):
            held=[f(*r) for r in reqs]; print(frm,"behind",behind,title,[x[1] for x in held]); [x[0].close() for x in held]; time.sleep(.2)
        print([l["why"] for l in S.logs("client.address")])
    except Exception as e: print(frm,behind,repr(e)[:500])
    finally:
        if S: S.down()
        try: os.unlink(H/"l8.sock")
        except FileNotFoundError: pass
