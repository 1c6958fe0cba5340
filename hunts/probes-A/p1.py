from common import *
with stack("s1") as st:
    r = st.redis
    say("=== P1: newest entry XDELed; client resumes")
    j = jid(); w = Builder(r, j).create("failed")
    r.xadd(w.log_key, {"text": "a"}, id="1-1"); r.xadd(w.log_key, {"text": "secret"}, id="2-1"); r.xdel(w.log_key, "2-1")
    last = "1-1"
    for i in range(4):
        s = log(st, j, last); watch(s, 3); last = s.last_id or last; say("  last id", last); s.close()
        if s.status == 204: break
    say("=== P1b: live, line written and deleted in the grace")
    j = jid(); w = Builder(r, j).create(); s = log(st, j)
    a = w.log("one"); time.sleep(.3); w.write_status("failed"); time.sleep(.2)
    p = r.pipeline(transaction=True); p.xadd(w.log_key, {"text": "x"}); x = p.execute()[0]; r.xdel(w.log_key, x)
    p = r.pipeline(transaction=True)
    r.eval("local i=redis.call('XADD',KEYS[1],'*','text','y'); redis.call('XDEL',KEYS[1],i)", 1, w.log_key)
    watch(s, 6); last = s.last_id; s.close()
    for i in range(3):
        s = log(st, j, last); watch(s, 3); last = s.last_id or last; s.close()
        if s.status == 204: break

    say("=== P3: job runs again 0.3 s after the look that found it failed; nothing more is logged")
    for k in range(3):
        j = jid(); w = Builder(r, j).create(); s = log(st, j); w.log("one"); time.sleep(.2)
        w.write_status("failed"); t = time.monotonic()
        # find the moment of the look: look count in metrics
        n = st.metrics()["tailgate_record_looks_total"]
        while st.metrics()["tailgate_record_looks_total"] == n: time.sleep(.01)
        say("  look came", f"{time.monotonic()-t:.2f} s after the status"); time.sleep(.3)
        w.write_status("queued"); say("  status queued again")
        watch(s, 4, t); say("  record now:", r.hget(w.key, "status")); s.close()

    say("=== P5: log absent, job failed at once, viewer opens, first line 0.4 s later")
    j = jid(); w = Builder(r, j).create("failed"); t = time.monotonic(); s = log(st, j); time.sleep(.4); e = w.log("error: image not found"); say("  wrote", e)
    watch(s, 3, t)
    say("=== P5b: log whose newest line is 6 s old, job fails now, viewer opens, line 0.4 s later")
    j = jid(); w = Builder(r, j).create(); r.xadd(w.log_key, {"text": "old"}, id=f"{int(time.time()*1000)-6000}-0"); w.write_status("failed"); t = time.monotonic(); s = log(st, j); time.sleep(.4); e = w.log("error"); say("  wrote", e)
    watch(s, 3, t)
    say("=== P13: key turns into another type in the grace")
    j = jid(); w = Builder(r, j).create(); s = log(st, j); w.log("one"); time.sleep(.2); w.write_status("failed"); time.sleep(1.3); r.delete(w.log_key); r.set(w.log_key, "x")
    watch(s, 5); say("  last id", s.last_id)
