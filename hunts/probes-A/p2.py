from common import *
def look(st):
    n = st.metrics()["tailgate_record_looks_total"]
    while st.metrics()["tailgate_record_looks_total"] == n: time.sleep(.005)
def lines(s): return [e.json()["text"][:12] for e in s.events if e.name == "log"]
with stack("s2") as st:
    r = st.redis
    say("=== P2: client is behind in the grace, catches up just before the silence is judged")
    for k in range(3):
        j = jid(); w = Builder(r, j).create(); s = log(st, j, via="gateway"); time.sleep(.1)
        for i in range(80): r.xadd(w.log_key, {"text": "x"*100000})   # 8 MB, the client reads nothing
        w.write_status("failed"); look(st); t = time.monotonic()
        time.sleep(max(0, t+.80-time.monotonic())); w.log("late1"); t1 = time.monotonic()-t
        # client starts to read now
        done_at = None; wrote2 = False; read_all = None
        while time.monotonic() < t+4 and not s.ended:
            s.pump(.005)
            if read_all is None and "late1" in lines(s): read_all = time.monotonic()-t
            if not wrote2 and time.monotonic() > t+1.4: w.log("late2"); wrote2 = True; t2 = time.monotonic()-t
        d = time.monotonic()-t
        if not wrote2:
            time.sleep(max(0, t+1.4-time.monotonic())); w.log("late2"); t2 = time.monotonic()-t
        say(f"  late1 written {t1:.2f} received {read_all}, stream ended {d:.2f}; late2 written {t2:.2f}; last lines {lines(s)[-2:]} n={len(lines(s))} last id {s.last_id}")
    say("=== P2b: fast client that resumes a long log (100k lines) while the job ends")
    for k in range(2):
        j = jid(); w = Builder(r, j).create(); w.log_many(50000); w.log_many(50000,"b")
        w.write_status("failed"); t = time.monotonic(); s = log(st, j, "0-0", via="gateway")
        wrote=[]; 
        while time.monotonic() < t+6 and not s.ended:
            s.pump(.005); now=time.monotonic()-t
            if len(wrote)==0 and now>.7: w.log("late1"); wrote.append(now)
            if len(wrote)==1 and now>1.4: w.log("late2"); wrote.append(now)
            if len(wrote)==2 and now>2.2: w.log("late3"); wrote.append(now)
        say(f"  ended {time.monotonic()-t:.2f} wrote {wrote} n={len(lines(s))} last {lines(s)[-3:]}"); s.close()
