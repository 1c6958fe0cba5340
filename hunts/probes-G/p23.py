# one log that turns into a string makes the checks of all others expensive
from h import *
rules=acl_of_readme().replace("+client|tracking","").replace("&__keyspace@0__:*","").replace("&__redis__:invalidate","")
s=up("p23",redis_conf=["notify-keyspace-events "+'""',"user "+rules],gateway_redis="unix://tailgate:secret@{run}/redis.sock")
try:
    held=[]
    for i in range(40):
        Builder(s.redis,f"j{i}").create("running").log("a"); held.append(open_stream(s,f"/api/jobs/j{i}/logs/stream",headers=s.bearer()).wait_head())
    def rate(cmd="xread"):
        a=s.redis.info("commandstats").get("cmdstat_"+cmd,{}).get("calls",0); time.sleep(5); b=s.redis.info("commandstats").get("cmdstat_"+cmd,{}).get("calls",0); return (b-a)/5
    time.sleep(6); print("XREAD a second before",rate())
    s.redis.delete("job:j7:logs"); s.redis.set("job:j7:logs","x"); time.sleep(4); print("ended", [h.pump().ended for h in held].count("clean"))
    print("after one of 40 logs became a string",rate()); time.sleep(10); print("later",rate())
finally:
    close_all(); s.down()
