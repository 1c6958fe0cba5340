from h import *
s=up("p8")
try:
    r=s.redis; b=Builder(r,"j").create("running")
    for depth in (255,257,1000,100000):
        for br,cl in (("[","]"),('{"a":',"}")):
            nest=br*depth+"1"+cl*depth
            ok=[]
            # R1 non terminal, then terminal
            j=f"j{depth}{'a' if br=='[' else 'o'}"
            bb=Builder(r,j).create("running")
            s1=open_stream(s,f"/api/jobs/{j}/events/stream",headers=s.bearer()).wait_head(); s2=open_stream(s,f"/api/jobs/{j}/stream",headers=s.bearer()).wait_head()
            s5=open_stream(s,"/api/sse/stream").wait_head()
            g=Blog(r,j,user="7"); g.create()
            s6=open_stream(s,f"/api/v1/jobs/{j}/stream",headers=s.bearer("7","blog")).wait_head()
            for c in (f"job:{j}:events","spools:updates",f"jobs:{j}:events"): s.wait_subscribed(c)
            r.publish(f"job:{j}:events",'{"deep":'+nest+',"status":"ready"}')
            r.publish("spools:updates",'{"event_type":"TOMAR","timestamp":"t9","deep":'+nest+'}')
            r.publish(f"jobs:{j}:events",'{"event":"complete","data":{"result":'+nest+'}}')
            time.sleep(.6)
            for st in (s1,s2,s5,s6): st.pump(.2)
            print(depth,br,"R1",s1.ended,s1.last_id,"R2",s2.ended,s2.last_id,"R5",[ (e.name,len(e.data)) for e in s5.events], s5.last_id,"R6",s6.ended,[(e.name,len(e.data)) for e in s6.events][-1])
            # the record
            r.hset(f"jobs:{j}",mapping={"status":"succeeded","result":nest})
            x=open_stream(s,f"/api/v1/jobs/{j}/stream",headers=s.bearer("7","blog")); x.wait_closed(5)
            print("   R6 record",[(e.name,len(e.data)) for e in x.events])
            # log line with deep text
            r.xadd(f"job:{j}:logs",{"text":nest}); 
            print("   R4",len(fetch(s,f"/api/jobs/{j}/logs?limit=1",headers=s.bearer()).raw))
            close_all()
    print(s.logs("redis.lost"), s.ops("/healthz"))
finally:
    close_all(); s.down()
