from common import *
def look(st):
    n = st.metrics()["tailgate_record_looks_total"]
    while st.metrics()["tailgate_record_looks_total"] == n: time.sleep(.005)
def lines(s): return [e.json()["text"][:14] for e in s.events if e.name == "log"]
with stack("s4") as st:
    r = st.redis
    say("=== P4: slow client; job ends; 3 s later the job gets another owner who writes lines; then the client reads on")
    for terminal in (True, False):
        j = jid(); w = Builder(r, j).create(); s = log(st, j, via="gateway"); time.sleep(.1)
        for i in range(80): r.xadd(w.log_key, {"text": "x"*100000})
        if terminal: w.write_status("failed")
        time.sleep(3.5)
        r.hset(w.key, mapping={"user_id": "bob", "status": "queued"}); 
        for i in range(5): r.xadd(w.log_key, {"text": f"bob secret {i}"})
        time.sleep(3)
        while not s.ended and s.pump(.3) and False: pass
        t=time.monotonic()
        while time.monotonic()<t+5 and not s.ended: s.pump(.05)
        say(f"  job had ended: {terminal}: n={len(lines(s))} bob's lines to alice: {[x for x in lines(s) if 'bob' in x]} last block {s.blocks[-1][-100:]!r} ended {s.ended}")
        say("  ", [l.get("why") for l in st.logs("stream.closed")][-1:])
        s.close()
    say("=== P4b: same, resume of an old ended job (opening path, is_silent)")
    j = jid(); w = Builder(r, j).create("failed")
    for i in range(80): r.xadd(w.log_key, {"text": "x"*100000}, id=f"{i+1}-1")
    s = log(st, j, "0-0", via="gateway"); time.sleep(.5)
    r.hset(w.key, mapping={"user_id": "bob", "status": "queued"})
    for i in range(5): r.xadd(w.log_key, {"text": f"bob secret {i}"}, id=f"{i+100}-1")
    time.sleep(3); t=time.monotonic()
    while time.monotonic()<t+5 and not s.ended: s.pump(.05)
    say(f"  n={len(lines(s))} bob's lines to alice: {[x for x in lines(s) if 'bob' in x]} last block {s.blocks[-1][-100:]!r} ended {s.ended}")
    s.close()
    say("=== P6: Redis is away for 7 s in the grace; the worker's last line comes 0.4 s after Redis is back")
