from h import *
s=up("p20", redis_conf=["user "+acl_of_readme()], gateway_redis="unix://tailgate:secret@{run}/redis.sock")
try:
    b=Builder(s.redis,"j").create("running"); R=s.redis
    def op(): 
        a=open_stream(s,"/api/jobs/j/events/stream",headers=s.bearer()).wait_head(); l=open_stream(s,"/api/jobs/j/logs/stream",headers=s.bearer()).wait_head(); s.wait_subscribed("job:j:events"); return a,l
    def trial(name, bad, good, secs=4, wait=12):
        a,l=op(); n=len(s.logs("redis.lost")); bad(); time.sleep(secs); b.log("during"); b.publish("during"); good(); el=t0(); back=None; backl=None
        b.log("after")
        while el()<wait:
            b.publish("after"); a.pump(.1); l.pump(.1); time.sleep(.1)
            if back is None and any('after' in e.data for e in a.events): back=el()
            if backl is None and any('after' in e.data for e in l.events): backl=el()
            if (back is not None or a.ended) and backl is not None: break
        print(f"{name:34} events {[e.name+(':'+json.loads(e.data)['type'] if e.name=='message' else '') for e in a.events][:4]} ended {a.ended} back {back}; log {[json.loads(e.data).get('text') if e.name=='log' else e.name for e in l.events]} ended {l.ended} back {backl}; lost {len(s.logs('redis.lost'))-n}",flush=True)
        close_all(); time.sleep(4)
    acl=lambda *w: lambda: R.execute_command("ACL","SETUSER","tailgate",*w)
    trial("off/on",acl("off"),acl("on"))
    import shlex
    rules=shlex.split(acl_of_readme())[1:]
    trial("deluser",lambda: R.execute_command("ACL","DELUSER","tailgate"),acl(*rules))
    trial("resetkeys",acl("resetkeys"),acl("~job:*","~jobs:*"))
    trial("resetchannels",acl("resetchannels"),acl(*[r for r in rules if r.startswith("&")]))
    trial("-subscribe",acl("-subscribe"),acl("+subscribe"))
    trial("-hmget -xrange",acl("-hmget","-xrange"),acl("+hmget","+xrange"))
    trial("-ping",acl("-ping"),acl("+ping"))
    trial("-xinfo",acl("-xinfo|stream"),acl("+xinfo|stream"))
    trial("-@all",acl("-@all"),acl(*[r for r in rules if r.startswith("+")]))
    trial("resetpass",acl("resetpass"),acl(">secret"))
    trial("requirepass/default",lambda: R.config_set("timeout",1),lambda: R.config_set("timeout",0))
    trial("flushall",lambda: (R.flushall(), Builder(R,"j").create("running")),lambda: None)
    trial("pause 10 s",lambda: R.execute_command("CLIENT","PAUSE","8000","ALL"),lambda: None, secs=.1, wait=25)
    trial("notify changes",lambda: R.config_set("notify-keyspace-events","KA"),lambda: R.config_set("notify-keyspace-events",""))
    trial("tracking table 1",lambda: R.config_set("tracking-table-max-keys",1),lambda: R.config_set("tracking-table-max-keys",1000000))
    trial("maxmemory-clients",lambda: R.config_set("maxmemory-clients","1"),lambda: R.config_set("maxmemory-clients",0))
    trial("normal buffer limit",lambda: R.config_set("client-output-buffer-limit","normal 1000 0 0"),lambda: R.config_set("client-output-buffer-limit","normal 0 0 0"))
    trial("DEBUG RELOAD",lambda: R.execute_command("SAVE"),lambda: None)
finally:
    close_all(); s.down()
