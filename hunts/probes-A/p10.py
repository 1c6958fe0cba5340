from common import *
import threading
def rss(pid, what="VmRSS"):
    for l in open(f"/proc/{pid}/status"):
        if l.startswith(what): return int(l.split()[1]) // 1024
say("=== P10: a record with a large JSON result, log viewers of that job")
N = 100
with stack("s10", {"route.log-stream.record": "blog-job", "route.log-stream.key": "jobs:{id}:logs", "route.log-stream.providers": ["blog"], "route.log-stream.credentials": ["bearer"]}, nginx=False) as st:
    r = st.redis; j = jid()
    r.hset(f"jobs:{j}", mapping={"user_id": "alice", "status": "running"}); r.xadd(f"jobs:{j}:logs", {"text": "a"})
    ss = [log(st, j, via="gateway") for _ in range(N)]
    time.sleep(.5); say("rss before", rss(st.gateway_pid))
    r.hset(f"jobs:{j}", mapping={"status": "succeeded", "result": json.dumps({"x": "y" * 2_000_000})}); t = time.monotonic(); peak = 0; tr = []
    while time.monotonic() < t + 5 and not all(s.ended for s in ss):
        for s in ss: s.pump(0)
        m = rss(st.gateway_pid); peak = max(peak, m); tr.append((round(time.monotonic() - t, 1), m)); time.sleep(.02)
    say(f"  ended {sum(bool(s.ended) for s in ss)} after {time.monotonic()-t:.2f}; peak {peak} MB, VmHWM {rss(st.gateway_pid,'VmHWM')}; sizes: done = {len(ss[0].blocks[-1])} bytes", tr[::12])
