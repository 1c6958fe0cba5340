from common import *
os.environ["TAILGATE_BINARY"] = "/tmp/w/keys2/build/asan/tailgate"
say("=== P12: ASan, end_grace 0, opening of a terminal job whose newest line is new (tail_ replaced in its own callback)")
with stack("s12", {"route.log-stream.end_grace_ms": 0}) as st:
    r = st.redis
    for k in range(5):
        j = jid(); w = Builder(r, j).create("failed"); w.log("a"); w.log("b")
        s = log(st, j, ["0-0", None, "5-5"][k % 3], via="gateway"); watch(s, 2); s.close()
    say("=== P20: logs trimmed, deleted, replaced around the end (ASan)")
with stack("s12b") as st:
    r = st.redis
    def case(name, *steps, resume=None):
        j = jid(); w = Builder(r, j).create(); w.log("one"); s = log(st, j, resume, via="gateway"); time.sleep(.1); w.log("two"); time.sleep(.1)
        w.write_status("failed"); t = time.monotonic(); say("--", name)
        for delay, do in steps:
            while time.monotonic() < t + delay: s.pump(.01)
            do(w)
        watch(s, 7, t); last = s.last_id; s.close()
        s = log(st, j, last, via="gateway"); say("   back with", last, "->", s.status); 
        if s.status == 200: watch(s, 3)
        s.close()
    case("DEL in the grace", (1.2, lambda w: r.delete(w.log_key)))
    case("DEL, then new log with higher ids", (1.2, lambda w: (r.delete(w.log_key), w.log("new1"), w.log("new2"))))
    case("DEL, then new log with lower ids", (1.2, lambda w: (r.delete(w.log_key), r.xadd(w.log_key, {"text": "low1"}, id="1-1"), r.xadd(w.log_key, {"text": "low2"}, id="2-1"))))
    case("XTRIM 0 in the grace", (1.2, lambda w: r.xtrim(w.log_key, 0, approximate=False)))
    case("line + XTRIM 0 at once", (1.2, lambda w: r.eval("redis.call('XADD',KEYS[1],'*','text','t'); redis.call('XTRIM',KEYS[1],'MAXLEN',0)", 1, w.log_key)))
    case("RENAME another log onto it", (1.2, lambda w: (r.xadd("tmp:x", {"text": "ren"}), r.rename("tmp:x", w.log_key))))
    case("RENAME an older log onto it", (1.2, lambda w: (r.xadd("tmp:y", {"text": "ren"}, id="7-7"), r.rename("tmp:y", w.log_key))))
    case("line with explicit lower seq is impossible; far future id", (1.2, lambda w: r.xadd(w.log_key, {"text": "far"}, id="99999999999999-1")))
    case("max id", (1.2, lambda w: r.xadd(w.log_key, {"text": "far"}, id="18446744073709551615-18446744073709551615")))
    case("FLUSHALL in the grace", (1.2, lambda w: r.flushall()))
    case("status ready then failed then ready", (1.2, lambda w: w.write_status("ready")), (2.3, lambda w: w.write_status("failed")))
    case("HDEL status", (1.2, lambda w: r.hdel(w.key, "status")), (3.5, lambda w: w.log("more")), (5, lambda w: w.write_status("failed")))
    case("DEL record in the grace", (1.2, lambda w: r.delete(w.key)), (1.6, lambda w: w.log("late")))
    case("owner change in the grace", (1.2, lambda w: (w.log("a"), r.hset(w.key, "user_id", "bob"))), (2.4, lambda w: w.log("bob's")))
