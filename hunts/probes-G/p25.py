from h import *
s=up("p25", redis_conf=["user "+acl_of_readme().replace("'&job:*' ","").replace("&job:* ","")], gateway_redis="unix://tailgate:secret@{run}/redis.sock",wait="alive")
try:
    time.sleep(3)
    sp=routes.Updates(s,"x"); st=routes.open_live_stream(sp)
    n0=len(s.logs("redis.lost"))
    for i in range(8):
        subprocess.Popen(["curl","-s","-o","/dev/null","-m","6",s.plain_url+f"/api/jobs/nojob{i}/events/stream","-H","Authorization: "+s.bearer("mallory")["Authorization"]])
        el=t0()
        while el()<1.5: st.pump(.1)
    print("8 requests of a stranger for jobs that do not exist: links lost",len(s.logs("redis.lost"))-n0,"resyncs of another stream",sum(e.name=="resync" for e in st.events))
    p=redis.Redis(unix_socket_path=s.facts["redis_socket"]); ps=p.pubsub(); ps.subscribe("other-app"); ps.get_message(timeout=1)
    print("CLIENT KILL USER tailgate TYPE pubsub ->",s.redis.execute_command("CLIENT","KILL","USER","tailgate","TYPE","pubsub")); 
    print("CLIENT KILL TYPE pubsub (as the manual says) ->",s.redis.execute_command("CLIENT","KILL","TYPE","pubsub"),"(one of them another application's)")
finally:
    close_all(); s.down()
s=up("p25b",{"drain.settle_s":.5,"drain.deadline_s":6})
try:
    Builder(s.redis,"j").create("running"); held=[open_stream(s,"/api/jobs/j/logs/stream",headers=s.bearer()).wait_head()]
    print(s.ops("/drain","POST")); time.sleep(1); os.kill(s.gateway_pid,15); time.sleep(.2); el=t0()
    try:
        x=open_stream(s,"/api/jobs/j/events/stream",headers=s.bearer()); print("POST /drain, 1 s, SIGTERM, new R1:",x.status,x.raw[:60],el())
    except BaseException as e: print("new R1",repr(e)[:100],el())
    pass
finally:
    close_all(); s.down()
