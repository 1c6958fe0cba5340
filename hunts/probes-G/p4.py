# P4: a replica that makes a full resync between two probes loses messages silently
from h import *
with servers("/tmp/w/hunt-G/p4r") as start:
    prim=start("repl-backlog-size 16kb"); repl=start("repl-diskless-load swapdb")
    b=Builder(prim.client,"j").create("running")
    repl.follow(prim)
    s=up("p4", gateway_redis=repl.url)
    try:
        st=open_stream(s,"/api/sse/stream").wait_head()
        time.sleep(1)
        n=0
        def pub(size=0):
            global n; n+=1
            prim.client.publish("spools:updates",json.dumps({"event_type":"TOMAR","n":n,"f":"x"*size}))
        for k in range(6):
            for _ in range(5): pub(); time.sleep(.02)
            st.pump(.1)
            time.sleep(.3*k)
            os.kill(repl.process.pid,signal.SIGSTOP)
            prim.client.execute_command("CLIENT","KILL","TYPE","replica")
            for _ in range(30): pub(40000)
            os.kill(repl.process.pid,signal.SIGCONT)
            el=t0()
            while el()<6: pub(); st.pump(.05)
        st.pump(.5)
        last=0; told=False; silent=[]
        for e in st.events:
            if e.name=="resync": told=True; continue
            if e.name!="spool_update": continue
            m=json.loads(e.data)["n"]
            if m>last+1 and not told: silent.append((last,m))
            last,told=m,False
        print("published",n,"last",last,"silent gaps",silent,"resyncs",sum(e.name=="resync" for e in st.events))
        print(prim.client.info("stats")["sync_full"],prim.client.info("stats")["sync_partial_ok"])
        print([l["why"] for l in s.logs("redis.lost")])
    finally:
        close_all(); s.down()
