from h import *
s=up("p8b")
try:
    for depth in (20000,100000,400000):
      for order in (0,1):
        j=f"d{depth}o{order}"; nest='{"a":'*depth+"1"+"}"*depth
        Builder(s.redis,j).create("running")
        a=open_stream(s,f"/api/jobs/{j}/events/stream",headers=s.bearer()).wait_head(); s.wait_subscribed(f"job:{j}:events")
        el=t0()
        m='{"deep":'+nest+',"status":"ready"}' if order==0 else '{"status":"ready","deep":'+nest+'}'
        s.redis.publish(f"job:{j}:events",m)
        try: print(depth,order,a.wait_closed(8), el(), a.last_id, [len(e.data) for e in a.events])
        except Exception as e: print(depth,order,"NOT",el(),str(e)[:100], a._link.ended, len(a.raw))
    # time on the gateway: many deep messages
    u0=os.times; 
    pid=s.gateway_pid
    def cpu(): 
        f=open(f"/proc/{pid}/stat").read().rsplit(")",1)[1].split(); return (int(f[11])+int(f[12]))/100
    for nest in ('['*400000+']'*400000, '{"a":'*150000+'1'+'}'*150000, '"'+'x'*800000+'"'):
        c=cpu(); 
        st=open_stream(s,"/api/sse/stream").wait_head(); s.wait_subscribed("spools:updates")
        for _ in range(10): s.redis.publish("spools:updates",'{"event_type":"T","d":'+nest+'}'); st.pump(.05)
        el=t0()
        while el()<4: st.pump(.2)
        print(nest[:6],len(nest),"cpu for 10",round(cpu()-c,2), len(st.events)); st.close()
finally:
    close_all(); s.down()
