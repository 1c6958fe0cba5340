from common import *
import threading
def look(st, s):
    n = st.metrics()["tailgate_record_looks_total"]
    while st.metrics()["tailgate_record_looks_total"] == n: time.sleep(.003); s.pump()
with stack("s22", {"route.log-stream.max_age_s": 3, "redis.wakeups": "notifications"}, redis_conf=["lua-time-limit 100"]) as st:
    r = st.redis
    say("=== max_age in the grace; notifications trusted but the server sends none")
    j = jid(); w = Builder(r, j).create(); w.log("one"); s = log(st, j); t0 = time.monotonic(); time.sleep(.2); w.log("two"); time.sleep(2.0); w.write_status("failed"); time.sleep(.5); w.log("late"); watch(s, 4, t0); last = s.last_id; s.close(); w.log("later")
    s = log(st, j, last or None); t0 = time.monotonic(); time.sleep(.6); w.log("latest"); watch(s, 5, t0); s.close()
    say("=== short: status right away, lines unannounced")
    j = jid(); w = Builder(r, j).create(); w.log("one"); s = log(st, j); w.write_status("failed"); look(st, s); t = time.monotonic(); time.sleep(.5); w.log("late"); time.sleep(.8); w.log("late2"); watch(s, 3, t); s.close()
    say("=== BUSY script in the grace (2.5 s)")
    j = jid(); w = Builder(r, j).create(); w.log("one"); s = log(st, j); w.write_status("failed"); look(st, s); t = time.monotonic()
    th = threading.Thread(target=lambda: r.eval("local t=redis.call('TIME')[1]+0 while redis.call('TIME')[1]-t<3 do end return 1", 0)); th.start(); time.sleep(.1)
    th.join(); say(f"  script over at {time.monotonic()-t:.2f}"); time.sleep(.3); w.log("late"); watch(s, 4, t); s.close()
    say([ (l["event"], l.get("why")) for l in st.logs() if l.get("level") in ("warning", "error")][-8:])
