# P17: a proxy in between that answers errors, or that replaces its connection to Redis unnoticed
from h import *
import socket, select
class Proxy(threading.Thread):
    def __init__(self, path, target):
        super().__init__(daemon=True); self.l=socket.socket(socket.AF_UNIX); 
        with contextlib.suppress(OSError): os.unlink(path)
        self.l.bind(path); self.l.listen(100); self.target=target; self.mode="pass"; self.pairs=[]; self.start()
    def run(self):
        while True:
            c,_=self.l.accept(); threading.Thread(target=self.serve,args=(c,),daemon=True).start()
    def back(self):
        b=socket.socket(socket.AF_UNIX); b.connect(self.target); return b
    def serve(self,c):
        b=self.back(); me={"c":c,"b":b}; self.pairs.append(me)
        while True:
            r,_,_=select.select([c,me["b"]],[],[],.1)
            for x in r:
                try: d=x.recv(65536)
                except OSError: d=b""
                if x is c:
                    if not d: me["b"].close(); return
                    if self.mode=="errors": c.sendall(b"-ERR backend unavailable\r\n"*d.count(b"*")); continue
                    if self.mode=="errors-not-ping":
                        n=d.count(b"\r\n*")+1
                        c.sendall(b"+PONG\r\n" if b"PING" in d and n==1 else b"-ERR backend unavailable\r\n"*n); continue
                    me["b"].sendall(d)
                else:
                    if x is not me["b"]: continue
                    if not d: c.close(); return
                    c.sendall(d)
    def swap(self):
        "replaces every connection to Redis; clients notice nothing"
        for p in self.pairs:
            old=p["b"]; p["b"]=self.back(); old.close()
s=up("p17",gateway_redis="unix:/tmp/w/hunt-G/px.sock",wait="none")
try:
    px=Proxy("/tmp/w/hunt-G/px.sock",s.facts["redis_socket"]); wait_until(lambda:s.ops("/readyz")[0]==200,20,"ready")
    b=Builder(s.redis,"j").create("running")
    def op():
        a=open_stream(s,"/api/jobs/j/events/stream",headers=s.bearer()).wait_head(); l=open_stream(s,"/api/jobs/j/logs/stream",headers=s.bearer()).wait_head(); s.wait_subscribed("job:j:events"); return a,l
    for mode,secs in (("errors",1),("errors",8),("errors-not-ping",8)):
        a,l=op(); n0=len(s.logs("redis.lost"))
        px.mode=mode; time.sleep(.2); el=t0(); b.log("during"); 
        try: f=fetch(s,"/api/jobs/j/logs",headers=s.bearer()); print(mode,secs,"R4 meanwhile",f.status)
        except BaseException as e: print(repr(e)[:60])
        while el()<secs: time.sleep(.2)
        px.mode="pass"; time.sleep(4); b.log("after"); 
        for _ in range(3): b.publish("after"); time.sleep(.3)
        a.pump(.2); l.pump(.2)
        print(mode,secs,[e.name for e in a.events],[json.loads(e.data).get("text") if e.name=="log" else e.name for e in l.events],a.ended,l.ended,len(s.logs("redis.lost"))-n0)
        close_all(); time.sleep(4)
    a,l=op(); px.swap(); time.sleep(.5); b.publish("lost"); b.log("x"); time.sleep(12); b.publish("lost2"); time.sleep(1); a.pump(.2); l.pump(.2)
    print("backend replaced:",[e.name for e in a.events],[e.name for e in l.events],s.subscribers("job:j:events"))
finally:
    close_all(); s.down()
