from h import *
s=up("p26", redis_conf=["user "+acl_of_readme()], gateway_redis="unix://tailgate:secret@{run}/redis.sock")
try:
    b=Builder(s.redis,"j").create("running"); l=open_stream(s,"/api/jobs/j/logs/stream",headers=s.bearer()).wait_head()
    s.redis.execute_command("ACL","SETUSER","tailgate","-xrange","-hmget"); 
    el=t0(); time.sleep(5); n=len(s.logs("log.refused")); r=len(s.logs("record.refused"))
    for _ in range(20): b.log("x"); time.sleep(.5)
    print("log.refused in 10 s with 2 lines a second:",len(s.logs("log.refused"))-n,"idle in 5 s:",n,"record.refused",r, s.logs("log.refused")[-1])
    s.redis.execute_command("ACL","SETUSER","tailgate","+xrange","+hmget"); time.sleep(1); l.pump(.2); print([e.name for e in l.events].count("log"))
    # the end of a job while its log turns into another type
    b.write_status("failed","x"); time.sleep(.4); s.redis.set("job:j:logs","x"); time.sleep(6); l.pump(.2); print([(e.name,e.data[:60]) for e in l.events][-2:], l.ended, l.last_id)
    for h in ({"Last-Event-ID":l.last_id},{}):
        a=open_stream(s,"/api/jobs/j/logs/stream",headers={**s.bearer(),**h}); print(a.status,a.raw[:80])
finally:
    close_all(); s.down()
