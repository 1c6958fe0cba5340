from common import *
import subprocess, threading
say("=== P9b: a burst on another channel delays the subscriber link for real")
with stack("s9b", redis_conf=["client-output-buffer-limit pubsub 256mb 256mb 60"]) as st:
    r = st.redis
    V = 12
    cs = [subprocess.Popen(["curl", "-sN", "--unix-socket", st.gateway_socket, "http://x/api/sse/stream"], stdout=subprocess.DEVNULL) for _ in range(V)]
    time.sleep(.5)
    def blog(job): return open_stream(st, f"/api/v1/jobs/{job}/stream", headers=st.bearer("alice", "blog"))
    lost = 0; total = 0
    for k in range(3):
        js = [jid() for _ in range(12)]; bs = [Blog(r, j, user="alice").create("running") for j in js]; ss = []
        for j in js: ss.append(blog(j)); time.sleep(.08)
        payload = json.dumps({"timestamp": "t", "x": "y" * 150})
        p = r.pipeline(transaction=False)
        for i in range(60000): p.publish("spools:updates", payload)
        raw = p.connection_pool.connection_kwargs
        for b in bs:
            p.publish(f"jobs:{b.job}:events", json.dumps({"event": "step-change", "data": {"n": 7}}))
            p.hset(b.key, "status", "succeeded"); p.publish(f"jobs:{b.job}:events", json.dumps({"event": "complete", "data": {"result": "published"}}))
        t = time.monotonic(); p.execute(); say(f"  burst took {time.monotonic()-t:.2f}")
        t = time.monotonic()
        while time.monotonic() < t + 6 and not all(s.ended for s in ss):
            for s in ss: s.pump(.002)
        for s in ss:
            total += 1
            bad = not any('"published"' in b for b in s.blocks); nostep = not any("step-change" in b for b in s.blocks)
            lost += bad
            if bad: say("   ", [b.replace("\n", " | ")[-60:] for b in s.blocks[-2:]], "step lost:", nostep)
            s.close()
    say(f"  {lost} of {total} got the record's ending; curls alive {[c.poll() for c in cs]}")
    for c in cs: c.terminate()
