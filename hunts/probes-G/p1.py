# P1: one ACL change takes 30 watched channels away: what do streams of other channels see?
from h import *
N=int(sys.argv[1]) if len(sys.argv)>1 else 30
s=up("p1", redis_conf=["user "+acl_of_readme()], gateway_redis="unix://tailgate:secret@{run}/redis.sock")
try:
    held=[]
    for i in range(N):
        j=f"job-{i}"
        Builder(s.redis,j).create("running")
        held.append(open_stream(s,f"/api/jobs/{j}/events/stream",headers=s.bearer()).wait_head())
    sp=routes.Updates(s,"x"); st=routes.open_live_stream(sp)
    s.redis.execute_command("ACL","SETUSER","tailgate","resetchannels","&spools:updates","&tailgate:*","&__keyspace@0__:*","&__redis__:invalidate")
    el=t0(); n=0; got={}
    r=s.redis
    end=time.monotonic()+90
    quiet=0
    while time.monotonic()<end:
        n+=1
        r.publish(sp.channel,json.dumps({"event_type":"TOMAR","n":n})); got[n]=el()
        st.pump(0.05); time.sleep(0.05)
    seen=[sp.number_in(e) for e in st.events if e.name=="spool_update"]
    seen=[x for x in seen if x and x>0]
    print("published",n,"seen",len(seen),"resyncs",sum(e.name=="resync" for e in st.events), "ended",st.ended)
    missing=[x for x in range(1,n+1) if x not in set(seen)]
    print("missing count",len(missing),"from",missing[:1] and got[missing[0]],"to",missing[-1:] and got[missing[-1]])
    print("lost lines",len(s.logs("redis.lost")),"unreach",len(s.logs("redis.unreachable")),"refused",len(s.logs("channel.refused")))
    print("held ended",sum(1 for h in held if h.pump().ended))
    for l in s.logs("redis.lost")[:2]+s.logs("redis.unreachable")[:3]+s.logs("channel.refused")[:2]: print(l)
    t=[l.get("time") for l in s.logs("redis.up") if l.get("link")=="subscriber"]
    print(len(t), t[:3], t[-1:])
finally:
    s.down()
