from common import *
def look(st, s):
    n = st.metrics()["tailgate_record_looks_total"]
    while st.metrics()["tailgate_record_looks_total"] == n: time.sleep(.005); s.pump()
with stack("s20") as st:
    r = st.redis
    def case(name, *steps, resume=None, secs=7):
        j = jid(); w = Builder(r, j).create(); w.log("one"); s = log(st, j, resume, via="gateway"); time.sleep(.1); w.log("two"); time.sleep(.1)
        w.write_status("failed"); look(st, s); t = time.monotonic(); say("--", name)
        for delay, do in steps:
            watch_until(s, t, t + delay)
            do(w); say(f"  [{time.monotonic()-t:5.2f}] step")
        watch(s, secs, t) if False else watch_until(s, t, t + secs, True); last = s.last_id; s.close()
        s = log(st, j, last, via="gateway"); say("   back with", last, "->", s.status)
        if s.status == 200: watch(s, 2)
        s.close()
    seen = {}
    def watch_until(s, t, end, final=False):
        while time.monotonic() < end and not s.ended:
            s.pump(.01)
            n = seen.setdefault(id(s), 0)
            for b in s.blocks[n:]: say(f"  [{time.monotonic()-t:5.2f}]", b.replace("\n", " | ")[:110])
            seen[id(s)] = len(s.blocks)
        if not final and s.ended:
            while time.monotonic() < end: time.sleep(.01)
        if final: say(f"  [{time.monotonic()-t:5.2f}] ended={s.ended}"); seen.pop(id(s), None)
    low = lambda w: (r.delete(w.log_key), r.xadd(w.log_key, {"text": "low1"}, id="1-1"), r.xadd(w.log_key, {"text": "low2"}, id="2-1"))
    case("DEL, new log with lower ids, one more line 0.8 s later", (.3, low), (1.1, lambda w: r.xadd(w.log_key, {"text": "low3"}, id="3-1")))
    case("DEL, new log with lower ids just before the silence is judged", (.985, low), (1.6, lambda w: r.xadd(w.log_key, {"text": "low3"}, id="3-1")))
    case("owner change in the grace", (.3, lambda w: r.hset(w.key, "user_id", "bob")), (.8, lambda w: w.log("bob's")), (1.5, lambda w: w.log("bob's 2")))
    case("FLUSHALL in the grace", (.3, lambda w: r.flushall()))
    case("failed, ready, failed", (.3, lambda w: w.write_status("ready")), (.6, lambda w: w.log("l")), (1.3, lambda w: w.write_status("failed")))
    case("HDEL status 0.3 s after the look", (.3, lambda w: r.hdel(w.key, "status")), (1.3, lambda w: w.log("more")))
    case("runs again, with a line, ends again", (.3, lambda w: (w.write_status("queued"), w.log("again"))), (2.5, lambda w: w.log("l2")), (2.6, lambda w: w.write_status("ready")))
    case("lines for ever, 20/s", *[(.05*i, lambda w, i=i: w.log(f"c{i}")) for i in range(1, 130)])
    case("10000 lines at the end of the grace", (.9, lambda w: w.log_many(10000, "burst")), (1.7, lambda w: w.log("after")))
