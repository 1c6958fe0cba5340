from common import *
from rproxy import Proxy
import redis, subprocess
os.makedirs("/tmp/w/hunt-A/r9", exist_ok=True)
rd = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", "/tmp/w/hunt-A/r9/r.sock", "--dir", "/tmp/w/hunt-A/r9", "--save", ""], stdout=subprocess.DEVNULL)
time.sleep(.7)
if os.path.exists("/tmp/w/hunt-A/r9/p.sock"): os.unlink("/tmp/w/hunt-A/r9/p.sock")
px = Proxy("/tmp/w/hunt-A/r9/p.sock", "/tmp/w/hunt-A/r9/r.sock")
try:
  with stack("s9", redis_url="unix:///tmp/w/hunt-A/r9/r.sock", gateway_redis="unix:///tmp/w/hunt-A/r9/p.sock") as st:
    r = redis.Redis(unix_socket_path="/tmp/w/hunt-A/r9/r.sock", decode_responses=True)
    def blog(job): return open_stream(st, f"/api/v1/jobs/{job}/stream", headers={"X-Tailgate-Identity": "", **st.bearer("alice", "blog")})
    say("=== P9: only the subscriber link is 1.6 s late (no loss); worker: 3 messages, HSET, PUBLISH complete")
    for k in range(2):
        j = jid(); b = Blog(r, j, user="alice").create("running"); s = blog(j); s.wait(lambda: any("progress-update" in x for x in s.blocks), 5, "open"); time.sleep(.1)
        lag = {"on": True}; px.hold = lambda c: lag["on"] and c["sub"]
        for p in (50, 60, 70): b.publish("step-change", {"n": p})
        b.write(status="succeeded"); b.publish("complete", {"result": {"url": "https://x"}}); t = time.monotonic()
        while time.monotonic() < t + 1.6 and not s.ended: s.pump(.01)
        say("  at 1.6 s ended:", s.ended); lag["on"] = False
        watch(s, 2); s.close()
    px.hold = lambda c: False
    say("=== P16: R6, record: status first, error 100 ms after the look (or after the status), nothing published")
    def look():
        n = st.metrics()["tailgate_record_looks_total"]
        while st.metrics()["tailgate_record_looks_total"] == n: time.sleep(.003); s.pump()
    for k in range(2):
        j = jid(); b = Blog(r, j, user="alice").create("running"); s = blog(j); s.wait(lambda: any("progress-update" in x for x in s.blocks), 5, "open")
        b.write(status="failed"); look(); time.sleep(.1); b.write(error="disk full", error_code="E1"); watch(s, 2); s.close()
    say("=== published twice, without data, after record, before record; ended twice?")
    for order in ("pub pub rec", "rec pub pub", "pubnodata rec", "rec pubnodata", "rec 0.2 pub", "rec look pub", "rec look 0.2 pub", "rec look 0.3 pub", "rec(run) pub run"):
        j = jid(); b = Blog(r, j, user="alice").create("running"); s = blog(j); s.wait(lambda: any("progress-update" in x for x in s.blocks), 5, "open"); time.sleep(.05)
        for step in order.split():
            if step == "pub": b.publish("complete", {"result": 1})
            elif step == "pubnodata": b.publish("complete")
            elif step == "rec": b.write(status="succeeded", result='{"from":"record"}')
            elif step == "look": look()
            elif step == "rec(run)": b.write(status="running")
            elif step == "run": b.write(status="running")
            else: time.sleep(float(step))
        s.wait_closed(4); say("  ", order, "->", [x.replace("\n", " | ") for x in s.blocks if "complete" in x or "failed" in x], s.ended); s.close()
finally:
    rd.terminate(); rd.wait()
