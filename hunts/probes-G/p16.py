from h import *
# maxclients reached, and a proxy that answers errors
s=up("p16")
try:
    b=Builder(s.redis,"j").create("running"); 
    st=open_stream(s,"/api/jobs/j/events/stream",headers=s.bearer()).wait_head(); ln=open_stream(s,"/api/jobs/j/logs/stream",headers=s.bearer()).wait_head()
    s.wait_subscribed("job:j:events")
    for keep in (1,2,3):
        s.redis.config_set("maxclients",keep+1)
        for c in s.connections(): s.redis.client_kill_filter(_id=c["id"])
        time.sleep(6)
        m=s.metrics(); print(keep,{k[27:-2]:v for k,v in m.items() if k.startswith("tailgate_redis_up")}, s.ops("/readyz")[1])
        f=fetch(s,"/api/jobs/j/logs",headers=s.bearer()); print("  R4",f.status)
        s.redis.config_set("maxclients",1000); time.sleep(3)
        b.publish(f"p{keep}"); b.log(f"l{keep}"); time.sleep(.5); st.pump(.1); ln.pump(.1)
        print("  ",[e.name for e in st.events if e.name!="heartbeat"],[e.name for e in ln.events if e.name!="heartbeat"],st.ended,ln.ended)
    print({l["why"] for l in s.logs("redis.unreachable")})
finally:
    close_all(); s.down()
