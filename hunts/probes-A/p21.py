from common import *
import signal
def look(st, s):
    n = st.metrics()["tailgate_record_looks_total"]
    while st.metrics()["tailgate_record_looks_total"] == n: time.sleep(.003); s.pump()
with stack("s21") as st:
    r = st.redis
    say("=== P21: the gateway is stopped (SIGSTOP) over the end of the wait")
    for k in range(3):
        j = jid(); b = Blog(r, j, user="alice").create("running"); s = open_stream(st, f"/api/v1/jobs/{j}/stream", headers=st.bearer("alice", "blog"), via="tls"); s.wait(lambda: any("progress-update" in x for x in s.blocks), 5, "open")
        b.write(status="succeeded"); look(st, s); time.sleep(.05); os.kill(st.gateway_pid, signal.SIGSTOP); time.sleep(.05); b.publish("step-change", {"n": 1}); b.publish("complete", {"result": "pub"}); time.sleep(1); os.kill(st.gateway_pid, signal.SIGCONT)
        s.wait_closed(4); say("  channel:", [x.replace("\n", " | ") for x in s.blocks][-2:]); s.close()
    for k in range(3):
        j = jid(); w = Builder(r, j).create(); w.log("one"); s = log(st, j); time.sleep(.1); w.write_status("failed"); look(st, s); time.sleep(.05)
        os.kill(st.gateway_pid, signal.SIGSTOP); time.sleep(.3); w.log("late"); time.sleep([1, 3, 6][k]); os.kill(st.gateway_pid, signal.SIGCONT); t = time.monotonic(); time.sleep(.4); e = w.log("later"); watch(s, 4, t); s.close()
    say("=== P11: entry ids 6 s behind the gateway's clock (Redis's clock is behind); a viewer comes just after the end")
    j = jid(); w = Builder(r, j).create(); r.xadd(w.log_key, {"text": "one"}, id=f"{int(time.time()*1000)-6000}-0"); w.write_status("failed"); t = time.monotonic(); s = log(st, j); time.sleep(.5); r.xadd(w.log_key, {"text": "late"}, id=f"{int(time.time()*1000)-6000}-0"); watch(s, 3, t); s.close()
    say("=== P11b: ids in microseconds / seconds")
    for f in (10**6, 1):
        j = jid(); w = Builder(r, j).create(); r.xadd(w.log_key, {"text": "one"}, id=f"{int(time.time()*f)}-0"); w.write_status("failed"); t = time.monotonic(); s = log(st, j); time.sleep(.5); r.xadd(w.log_key, {"text": "late"}, id=f"{int(time.time()*f)+1}-0"); watch(s, 3, t); s.close()
    say("=== P15: drain (restart) of a live viewer that has got no line; a line is written while it is away")
    j = jid(); w = Builder(r, j).create(); w.log("old"); s = log(st, j); time.sleep(.2)
    import threading; th = threading.Thread(target=lambda: st.restart("gateway", wait=True)); th.start()
    s.wait(lambda: s.ended, 60, "end"); say("  drained, last id", repr(s.last_id), [b for b in s.blocks][-2:]); s.close(); w.log("error: disk full"); w.write_status("failed"); th.join()
    s = log(st, j, s.last_id or None); watch(s, 3)
