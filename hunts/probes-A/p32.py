from common import *
import signal, threading
def look(st, s):
    n = st.metrics()["tailgate_record_looks_total"]
    while st.metrics()["tailgate_record_looks_total"] == n: time.sleep(.003); s.pump()
with stack("s32") as st:
    r = st.redis
    say("=== restart / kill -9 of the gateway in the grace, the client has an id")
    for kill in (False, True):
        j = jid(); w = Builder(r, j).create(); s = log(st, j); time.sleep(.1); w.log("one"); s.next_event(); w.write_status("failed"); look(st, s); t = time.monotonic()
        th = threading.Thread(target=lambda: st.restart("gateway", kill=kill, wait=True)); time.sleep(.2); th.start(); time.sleep(.2); w.log("late"); 
        s.wait(lambda: s.ended, 40, "end"); say(f"  ended {time.monotonic()-t:.2f} {s.ended} last id {s.last_id}", [b.replace("\n"," | ")[:60] for b in s.blocks[-2:]]); last = s.last_id; s.close(); th.join()
        if not last.startswith("end"):
            s = log(st, j, last); watch(s, 4); s.close()
    say("=== R6: only the subscriber's connection is killed between HSET (+look) and PUBLISH; PUBLISH 0.3 s later")
    for gap in (.15, .35):
        for k in range(2):
            j = jid(); b = Blog(r, j, user="alice").create("running"); s = open_stream(st, f"/api/jobs/{j}/x" if 0 else f"/api/v1/jobs/{j}/stream", headers=st.bearer("alice", "blog")); s.wait(lambda: any("progress-update" in x for x in s.blocks), 5, "open")
            j2 = jid(); w = Builder(r, j2).create(); s2 = open_stream(st, f"/api/jobs/{j2}/events/stream", headers=st.bearer()); time.sleep(.1)
            r.execute_command("CLIENT", "KILL", "TYPE", "pubsub"); b.write(status="succeeded"); w.write_status("failed"); time.sleep(gap); b.publish("complete", {"result": "pub"}); w.publish("build", status="failed", message="why")
            s.wait_closed(4); s2.wait_closed(4); say("  ", gap, s.blocks[-1].replace("\n", " | ")[:70], "||", [x.replace("\n", " | ")[:110] for x in s2.blocks[1:]]); s.close(); s2.close()
    say("=== R3 resume with end.<id> of a job that runs: reset log, far-future id")
    j = jid(); w = Builder(r, j).create(); r.xadd(w.log_key, {"text": "a"}, id="1-1")
    for e in ("end.500-1", "end.99999999999999999-1", "end.0-0", "end"):
        s = log(st, j, e); watch(s, .5); s.close()
    w.write_status("failed")
    for e in ("end.500-1", "end.99999999999999999-1", "end.1-1", "end.1-0", "end", "END", "end.", "end.1", "end.1-1-1", "end.-1", "end.1-18446744073709551616"):
        s = log(st, j, e, via="gateway"); p = log(st, j, None, via="gateway", params={"lastEventId": e}); time.sleep(.1); s.pump(.1); say("  ", e, "header", s.status, [b.replace("\n"," | ")[:70] for b in s.blocks[1:]], "param", p.status); s.close(); p.close()
