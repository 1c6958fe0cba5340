from common import *
import threading, random
# P2 with an ordinary client that reads all the time, through nginx with TLS, small default settings: a worker dumps its
# output, sets the status, and writes a few more lines.
def lines(s): return [e.json()["text"][:10] for e in s.events if e.name == "log"]
rng = random.Random(5)
with stack("s30") as st:
    r = st.redis; bad = n = 0; early = []
    for k in range(12):
        j = jid(); w = Builder(r, j).create(); s = log(st, j, receive_buffer=65536); time.sleep(.1)
        rate = rng.uniform(2e6, 9e6)   # the client's bytes a second
        for i in range(100): r.xadd(w.log_key, {"text": "x"*100000})
        w.write_status("failed"); t = time.monotonic(); marks = []; nxt = t + rng.uniform(.5, .9); got = 0; t_prev = time.monotonic()
        budget = 0
        while time.monotonic() < t + 9 and not s.ended:
            now = time.monotonic(); budget = min(budget + (now - t_prev) * rate, 3e5); t_prev = now
            if now > nxt and len(marks) < 6: w.log(f"late{len(marks)}"); marks.append(now - t); nxt = now + rng.uniform(.5, .9)
            if budget > 0:
                before = len(s.raw); s._link.pump(.001); budget -= len(s.raw) - before
            else: time.sleep(.002)
        e = time.monotonic() - t; last = [m for m in marks if m < e]
        have = [x for x in lines(s) if x.startswith("late")]
        # promised: end >= 1.0 s after the last line that it sent
        sent_last = marks[len(have)-1] if have else None
        gap = e - sent_last if have else None
        n += 1
        if have and gap < .98: bad += 1; early.append(round(gap, 2))
        s.close()
    say(f"P30: {bad} of {n} streams ended less than 1 s after the last line that they had sent: {early}")
