# P2: ROLE refused for a moment -> the demotion of the server is never noticed any more
from h import *
for take in (False, True):
    s=up("p2", redis_conf=["user "+acl_of_readme()], gateway_redis="unix://tailgate:secret@{run}/redis.sock")
    try:
        Builder(s.redis,"j").create("running")
        st=open_stream(s,"/api/jobs/j/events/stream",headers=s.bearer()).wait_head()
        if take:
            s.redis.execute_command("ACL","SETUSER","tailgate","-role"); time.sleep(4)
            s.redis.execute_command("ACL","SETUSER","tailgate","+role"); time.sleep(7)
        s.redis.execute_command("REPLICAOF","127.0.0.1","1")
        el=t0(); seen=None
        while el()<25:
            if s.metrics()['tailgate_redis_up{link="subscriber"}']==0: seen=el(); break
            time.sleep(.2)
        print("ROLE taken away for 4 s:",take,"-> loss noticed after",seen, s.logs("redis.role_refused"), [l["why"] for l in s.logs("redis.lost")])
        s.redis.execute_command("REPLICAOF","NO","ONE"); time.sleep(3); st.pump()
        print([e.name for e in st.events])
    finally:
        close_all(); s.down()
