from p2lib import *
import threading
def proxy(port,to):
    s=socket.socket(); s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1); s.bind(("127.0.0.1",port)); s.listen(50); st={"up":True,"c":[]}
    def pump(a,b):
        try:
            while True:
                d=a.recv(65536)
                if not d: break
                b.sendall(d)
        except OSError: pass
        for x in(a,b):
            try: x.shutdown(2)
            except OSError: pass
    def loop():
        while True:
            c,_=s.accept()
            if not st["up"]: c.close(); continue
            d=socket.create_connection(("127.0.0.1",to)); st["c"]+= [c,d]
            threading.Thread(target=pump,args=(c,d),daemon=True).start(); threading.Thread(target=pump,args=(d,c),daemon=True).start()
    threading.Thread(target=loop,daemon=True).start(); return st
st=proxy(8775,8771)
g=gate("tp",CFG.replace(":8771",":8775")); print("ready",g.ops()[0]); st["up"]=False
for c in st["c"]:
    try: c.shutdown(2)
    except OSError: pass
time.sleep(1.5); print("  a TCP proxy (HAProxy) whose Redis is down, after hours of service:"); [print("   ",l["event"],l["link"],l["why"]) for l in g.logs() if l["event"] in("redis.lost","redis.unreachable")]; g.end()
# password and database together
R.cli("CONFIG","SET","requirepass","one"); 
g=gate("pd",CFG.replace("redis://127","redis://:one@127")); subprocess.run(["redis-cli","-p","8771","-a","one","CONFIG","SET","requirepass","two"],capture_output=True)
g.rewrite("redis://:one@127.0.0.1:8771","redis://:two@127.0.0.1:8771/1"); g.hup(); subprocess.run(["redis-cli","-p","8771","-a","two","CLIENT","KILL","TYPE","normal"],capture_output=True); time.sleep(2); show(g,("started","redis.up","ready","keys.refreshed")); g.end()
R.end()
