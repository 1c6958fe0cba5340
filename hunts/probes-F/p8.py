from lab import *
os.environ["TAILGATE_BINARY"]=B
from support.stack import Stack
from support.clients import fetch, open_stream
from support.application import Application
which=sys.argv[1:]
def case(f):
    if not which or f.__name__ in which:
        print("=====",f.__name__,time.strftime("%H:%M:%S"))
        try: f()
        except BaseException as e: print("  EXC",repr(e)[:600])
D=pathlib.Path("/tmp/w/keys2/deploy")
@case
def leg_clips_timeout():
    sock=str(ROOT/"appl.sock")
    try: os.unlink(sock)
    except OSError: pass
    app=Application(sock)
    def slow(h): time.sleep(7); return (200,{"status":"running"})
    app.answers["/api/v1/jobs/j1/status"]=slow
    app.answers["/api/v1/jobs/j2/status"]=(200,{"status":"running"})
    st=Stack.up(ROOT/"s",{"record.job.target":"unix:{run}/leg-app.sock","record.job.timeout_s":20},config=D/"blog-application.toml",application="unix:"+sock)
    try:
        for j in ("j2","j1"):
            t=time.time(); a=fetch(st,f"/api/v1/jobs/{j}/stream",headers={"Authorization":"Bearer x","Accept":"application/json"}) if j=="j1" else None
            if a: print("  slow application (7 s), timeout_s = 20:",a.status,a.body[:120] if hasattr(a,"body") else "",round(time.time()-t,1),"s")
            else:
                with open_stream(st,f"/api/v1/jobs/{j}/stream",headers={"Authorization":"Bearer x"}) as s: print("  quick:",s.status)
        print("  ",st.logs("application.failed"))
    finally: st.down(); app.close()
@case
def heartbeat_over_read_timeout():
    st=Stack.up(ROOT/"s",{"route.spools.heartbeat.every_s":6},config=D/"spools.toml",nginx_settings={"TG_READ_TIMEOUT":"2s"})
    try:
        t=time.time()
        with open_stream(st,"/api/sse/stream") as s:
            try: s.wait(lambda: s.ended is not None,9,"end")
            except BaseException as e: print(repr(e)[:100])
            print("  ended",s.ended,"after",round(time.time()-t,1))
    finally: st.down()
@case
def leg_to_plain_redis():
    st=Stack.up(ROOT/"s",redis_tls=True,wait="alive",nginx_settings={"TG_REDIS_TLS":"127.0.0.1:8797"})
    try:
        time.sleep(1.5); print("  refused port:",st.ops("/readyz"),[(l["why"]) for l in st.logs("redis.unreachable")][:2])
    finally: st.down()
    r=Redis(8797); st=Stack.up(ROOT/"s",redis_tls=True,wait="alive",nginx_settings={"TG_REDIS_TLS":"127.0.0.1:8797"})
    try:
        time.sleep(2); print("  plain port:",st.ops("/readyz"),[(l["why"]) for l in st.logs("redis.unreachable")][:2]); os.system(f"tail -2 {st.dir}/log*/nginx*error* 2>/dev/null | cut -c1-300; ls {st.dir} {st.dir}/logs 2>/dev/null | head -30")
    finally: st.down(); r.end()
@case
def underscore_header():
    cfg=(D/"blog.toml").read_text(); print([l for l in cfg.splitlines() if "credentials" in l])
    st=Stack.up(ROOT/"s",{"route.job.credentials":'["session-header:x_session"]',"route.job.providers":"[]"},config=D/"blog.toml")
    try:
        st.redis.hset("jobs:j1",mapping={"session_id":"S","status":"active"})
        for h in ({"x_session":"S"},{"x-session":"S"}):
            with open_stream(st,"/api/v1/jobs/j1/stream",headers=h) as s: print("  through nginx",h,s.status)
    finally: st.down()
