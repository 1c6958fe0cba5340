from common import *
import signal
def look(st, s):
    n = st.metrics()["tailgate_record_looks_total"]
    while st.metrics()["tailgate_record_looks_total"] == n: time.sleep(.003); s.pump()
def lines(s): return [e.json()["text"][:14] for e in s.events if e.name == "log"]
with stack("s31") as st:
    r = st.redis
    say("=== A4 with a heavy load of CPU in the process instead of SIGSTOP: skipped; A4 with different lengths of the stop")
    for stop in (.15, .3, .5, 2):
        res = []
        for k in range(3):
            j = jid(); b = Blog(r, j, user="alice").create("running"); s = open_stream(st, f"/api/v1/jobs/{j}/stream", headers=st.bearer("alice", "blog"), via="tls"); s.wait(lambda: any("progress-update" in x for x in s.blocks), 5, "open")
            b.write(status="succeeded"); look(st, s); time.sleep(.05); os.kill(st.gateway_pid, signal.SIGSTOP); b.publish("complete", {"result": "pub"}); time.sleep(stop); os.kill(st.gateway_pid, signal.SIGCONT)
            s.wait_closed(4); res.append("pub" if '"pub"' in s.blocks[-1] else "RECORD"); s.close()
        say("  stop", stop, res)
    say("=== A3 with small lines: how many of bob's lines reach alice")
    j = jid(); w = Builder(r, j).create(); s = log(st, j, via="gateway"); time.sleep(.1)
    for i in range(60): r.xadd(w.log_key, {"text": "x"*100000})
    w.log_many(3000, "small"); w.write_status("failed"); time.sleep(3.5)
    r.hset(w.key, mapping={"user_id": "bob", "status": "queued"}); w.log_many(400, "bob secret"); time.sleep(2.5)
    t = time.monotonic()
    while time.monotonic() < t + 8 and not s.ended: s.pump(.02)
    L = lines(s); say("  alice got", len(L), "of bob's:", sum("bob" in x for x in L), s.blocks[-1][-60:]); s.close()
    say("=== C7: XINFO taken away in mid-stream")
    r.acl_setuser("default", commands=["-xinfo"]) if False else r.execute_command("ACL", "SETUSER", "default", "-xinfo|stream") if False else None
    j = jid(); w = Builder(r, j).create(); s = log(st, j); w.log("one"); time.sleep(.2); r.execute_command("ACL", "SETUSER", "default", "-xinfo"); w.write_status("failed"); watch(s, 9); 
    say([(l["event"], l.get("why"), l.get("key")) for l in st.logs() if l.get("level") in ("warning", "error")][-4:], r.info("commandstats").get("cmdstat_xinfo|stream"))
    r.execute_command("ACL", "SETUSER", "default", "+@all"); watch(s, 2); s.close()
