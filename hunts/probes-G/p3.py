# P3: HMGET refused + subscriber link lost -> the open stream is silent for ever
from h import *
s=up("p3", redis_conf=["user "+acl_of_readme()], gateway_redis="unix://tailgate:secret@{run}/redis.sock")
try:
    b=Builder(s.redis,"j").create("running")
    st=open_stream(s,"/api/jobs/j/events/stream",headers=s.bearer()).wait_head()
    s.wait_subscribed("job:j:events")
    s.redis.execute_command("ACL","SETUSER","tailgate","-hmget"); time.sleep(1.5)
    b.publish("one"); time.sleep(.3); st.pump(); print("with hmget refused, link up:",[e.data for e in st.events])
    s.redis.client_kill_filter(_type="pubsub"); time.sleep(1)
    el=t0()
    while el()<60:
        b.publish("two"); st.pump(.5); time.sleep(.5)
    print("60 s later",[ (e.name,e.data[:50]) for e in st.events], st.ended, s.subscribers("job:j:events"))
    print(s.ops("/readyz"))
    s.redis.execute_command("ACL","SETUSER","tailgate","+hmget"); time.sleep(2); st.pump()
    print("after +hmget",[ e.name for e in st.events][:8], len(st.events))
finally:
    close_all(); s.down()
