from p2lib import *
import threading
t=CFG+'[provider.later]\njwks = "unix:/tmp/w/hunt-F/noleg.sock:/k"\nalgorithms = ["RS256"]\n'
g=Gate(t,"later",start=False); (g.dir/"keys.json").write_text(json.dumps({"keys":[j1]})); g.start(); time.sleep(3); print("a provider that no route names, unreachable:",g.ops()); g.end()
# unknown kid counting
g=gate("uk"); 
for _ in range(3): print(g.auth("/ev/1",bearer(tok(k2,"two")))[:2])
print([l for l in g.ops("/metrics")[1].splitlines() if l.startswith("tailgate_tokens_refused_total{") or l.startswith("tailgate_auth_verdicts_total{")]); g.end()
# descriptors
g=Gate(CFG.replace("[redis]","[limits]\nstreams = 100000\n[redis]"),"fd",start=False); (g.dir/"keys.json").write_text(json.dumps({"keys":[j1]}))
lf=open(g.dir/"log","w"); g.log=g.dir/"log"; g.p=subprocess.Popen(["prlimit","--nofile=256:256",B,"--config",str(g.cfg)],stderr=lf); time.sleep(1); show(g); print("limits.streams=100000 with 256 descriptors: ready",g.ops()[0]); g.end()
# SIGHUP with a hung issuer: old keys, and repeated SIGHUPs
try: os.unlink("/tmp/w/hunt-F/slow.sock")
except OSError: pass
s=socket.socket(socket.AF_UNIX); s.bind("/tmp/w/hunt-F/slow.sock"); s.listen(50); cur=[j1]; delay=[0]
def serve():
    while True:
        c,_=s.accept()
        def one(c):
            b=c.recv(4096); time.sleep(delay[0]); body=json.dumps({"keys":cur}).encode()
            try: c.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n"%len(body)+body)
            except OSError: pass
            c.close()
        threading.Thread(target=one,args=(c,),daemon=True).start()
threading.Thread(target=serve,daemon=True).start()
g=Gate(CFG.replace("file:@D@/keys.json","unix:/tmp/w/hunt-F/slow.sock:/k"),"slow"); time.sleep(.6); print("ok?",g.auth("/ev/1",bearer(tok(k1,"one")))[1])
cur[:]=[j2]; delay[0]=1.0
for _ in range(8): g.hup(0.6)
print("withdrawn key after 8 SIGHUPs in 4.8 s, issuer answers in 1 s:",g.auth("/ev/1",bearer(tok(k1,"one")))[1]); time.sleep(1.2); print("1.2 s after the last:",g.auth("/ev/1",bearer(tok(k1,"one")))[1]); g.end()
R.end()
