# demoted and promoted again between two probes; messages published at the other server meanwhile
from h import *
with servers("/tmp/w/hunt-G/p4b") as start:
    a=start(); c=start()
    b=Builder(a.client,"j").create("running")
    c.follow(a)
    s=up("p4bs", gateway_redis=a.url)
    try:
        st=open_stream(s,"/api/sse/stream").wait_head(); ln=open_stream(s,"/api/jobs/j/logs/stream",headers=s.bearer()).wait_head()
        time.sleep(1)
        for k in range(8):
            x=f"round{k}"
            c.client.execute_command("REPLICAOF","NO","ONE"); a.client.execute_command("REPLICAOF","127.0.0.1",str(c.port))
            c.client.publish("spools:updates",json.dumps({"event_type":"TOMAR","n":k}))
            time.sleep(.6)
            a.client.execute_command("REPLICAOF","NO","ONE"); c.client.execute_command("REPLICAOF","127.0.0.1",str(a.port))
            time.sleep(2.9)
            a.client.publish("spools:updates",json.dumps({"event_type":"TOMAR","n":1000+k}))
            time.sleep(1)
        st.pump(.5)
        print([ (e.name,e.data[-12:]) for e in st.events]); print([l["why"] for l in s.logs("redis.lost")])
    finally:
        close_all(); s.down()
