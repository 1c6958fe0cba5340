from h import *
# SWAPDB between two databases whose logs grow side by side (blue and green)
s=up("p14",redis_conf=["notify-keyspace-events "+'""'])
try:
    r=s.redis; o=redis.Redis(unix_socket_path=s.facts["redis_socket"],db=1,decode_responses=True)
    Builder(r,"j").create("running"); Builder(o,"j").create("running"); k="job:j:logs"
    st=open_stream(s,"/api/jobs/j/logs/stream",headers=s.bearer()).wait_head()
    for i in range(5):
        r.xadd(k,{"text":f"blue{i}"}); time.sleep(.05); o.xadd(k,{"text":f"green{i}"}); time.sleep(.05)
    r.xadd(k,{"text":"blue5"}); time.sleep(1); st.pump(.2)
    p=r.pipeline(transaction=True); p.execute_command("SWAPDB","0","1"); p.xadd(k,{"text":"green5, after the swap"}); p.execute()
    time.sleep(4); st.pump(.2)
    print("SWAPDB:",[(e.name,e.data if e.name=="gap" else json.loads(e.data)["text"]) for e in st.events])
    print("log now:",[f["text"] for _,f in r.xrange(k)])
finally:
    close_all(); s.down()
# failover to a server that lacks the newest entries and whose clock is behind
with servers("/tmp/w/hunt-G/p14r") as start:
    a=start(); c=start()
    wa=Builder(a.client,"j").create("running"); k="job:j:logs"
    c.follow(a)
    s=up("p14b",gateway_redis=a.url)
    try:
        st=open_stream(s,"/api/jobs/j/logs/stream",headers=s.bearer()).wait_head()
        now=int(time.time()*1000)
        a.client.xadd(k,{"text":"1"},id=f"{now}-0"); time.sleep(.5)
        c.client.execute_command("REPLICAOF","NO","ONE")   # from here on c lacks a's entries
        a.client.xadd(k,{"text":"2, lost in the failover"},id=f"{now+500}-0"); time.sleep(.5); st.pump(.1)
        # the new primary's clock is behind by 400 ms
        c.client.xadd(k,{"text":"3, after the failover"},id=f"{now+200}-0"); c.client.xadd(k,{"text":"4"},id=f"{now+900}-0")
        # the address moves: c takes a's place
        port=a.port; a.stop()
        c.client.config_set("port",port)
        time.sleep(5); st.pump(.2)
        print("FAILOVER:",[(e.name,e.data if e.name=="gap" else json.loads(e.data).get("text")) for e in st.events])
        print("resumed with the last id:"); 
        x=open_stream(s,"/api/jobs/j/logs/stream",headers={**s.bearer(),"Last-Event-ID":f"{now+500}-0"}); time.sleep(1); x.pump(.2)
        print("RESUME:",[(e.name,e.data if e.name=="gap" else json.loads(e.data).get("text")) for e in x.events])
    finally:
        close_all(); s.down()
