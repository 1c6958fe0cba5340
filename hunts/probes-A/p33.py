from common import *
def look(st):
    n = st.metrics()["tailgate_record_looks_total"]; give_up = time.monotonic() + 1.3
    while st.metrics()["tailgate_record_looks_total"] == n and time.monotonic() < give_up: time.sleep(.003)
def lines(s): return [e.json()["text"][:16] for e in s.events if e.name == "log"]
with stack("s33") as st:
    r = st.redis; lost = 0
    say("A1, natural: the worker flushes 8 MB right after the status; the client (TLS, h1) hiccups for 0.3 s, then reads at full speed; the last line comes 0.85 s after the flush")
    for k in range(6):
        j = jid(); w = Builder(r, j).create(); s = log(st, j); time.sleep(.1); w.write_status("failed"); look(st); t = time.monotonic()
        p = r.pipeline(transaction=False)
        for i in range(80): p.xadd(w.log_key, {"text": "x" * 100000})
        p.execute(); f = time.monotonic() - t
        while time.monotonic() < t + f + .3: time.sleep(.01)
        wrote = None
        while time.monotonic() < t + 5 and not s.ended:
            s.pump(.005)
            if wrote is None and time.monotonic() > t + f + .85: w.log("error: disk full"); wrote = time.monotonic() - t
        e = time.monotonic() - t
        if wrote is None: wrote = "after the end"; w.log("error: disk full")
        ok = "error: disk full" in lines(s); lost += not ok
        say(f"  flushed by {f:.2f}, ended {e:.2f}, n={len(lines(s))}, last line written {wrote}, delivered: {ok}"); s.close()
    say("lost", lost, "of 6")
