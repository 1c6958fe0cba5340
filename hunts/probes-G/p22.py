from h import *
rules=acl_of_readme().replace("'+client|tracking'","").replace("+client|tracking","").replace("&__keyspace@0__:*","").replace("&__redis__:invalidate","")
s=up("p22",redis_conf=["notify-keyspace-events "+'""',"user "+rules],gateway_redis="unix://tailgate:secret@{run}/redis.sock")
try:
    held=[]
    for i in range(40):
        Builder(s.redis,f"j{i}").create("running").log("a"); held.append(open_stream(s,f"/api/jobs/j{i}/logs/stream",headers=s.bearer()).wait_head())
    def rate(cmd="xread"):
        a=s.redis.info("commandstats").get("cmdstat_"+cmd,{}).get("calls",0); time.sleep(5); b=s.redis.info("commandstats").get("cmdstat_"+cmd,{}).get("calls",0); return (b-a)/5
    time.sleep(6); print("XREAD a second before",rate())
    s.redis.execute_command("ACL","SETUSER","tailgate","-xread"); time.sleep(1); s.redis.execute_command("ACL","SETUSER","tailgate","+xread"); time.sleep(2)
    print("after -xread, 1 s, +xread:",rate()); time.sleep(10); print("later",rate())
    # one wrong-typed key
    print(s.logs("log.wakeups_refused"))
finally:
    close_all(); s.down()
