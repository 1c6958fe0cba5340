# P24: 30 refused channels, whose clients come back: what happens 30 s later
from h import *
N=20
s=up("p24", redis_conf=["user "+acl_of_readme().replace("&job:* ","").replace("&job:*","")], gateway_redis="unix://tailgate:secret@{run}/redis.sock",wait="alive")
try:
    wait_until(lambda:s.ops("/readyz")[0]==200,20,"ready")
    sp=routes.Updates(s,"x"); st=routes.open_live_stream(sp)
    for i in range(N): Builder(s.redis,f"job-{i}").create("running")
    el=t0(); n=0; got={}; lastreq=0; codes={}
    while el()<60:
        # N tabs that ask again every 3 s
        if el()-lastreq>3:
            lastreq=el()
            for i in range(N): subprocess.Popen(["curl","-s","-o","/dev/null","-m","6",s.plain_url+f"/api/jobs/job-{i}/events/stream","-H","Authorization: "+s.bearer()["Authorization"]])
        n+=1; s.redis.publish(sp.channel,json.dumps({"event_type":"TOMAR","n":n})); got[n]=el(); st.pump(.05); time.sleep(.05)
    seen={sp.number_in(e) for e in st.events if e.name=="spool_update"}
    miss=[got[x] for x in range(1,n+1) if x not in seen]
    print("published",n,"missing",len(miss),"resyncs",sum(e.name=="resync" for e in st.events))
    import itertools
    sec=sorted({int(m) for m in miss}); print("seconds with a loss",sec)
    print("lost",len(s.logs("redis.lost")))
finally:
    close_all(); s.down()
