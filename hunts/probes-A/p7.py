from common import *
from rproxy import Proxy
import redis, subprocess
def look(st):
    n = st.metrics()["tailgate_record_looks_total"]
    while st.metrics()["tailgate_record_looks_total"] == n: time.sleep(.005)
def lines(s): return [e.json()["text"][:14] for e in s.events if e.name == "log"]
os.makedirs("/tmp/w/hunt-A/r7", exist_ok=True)
rd = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", "/tmp/w/hunt-A/r7/r.sock", "--dir", "/tmp/w/hunt-A/r7", "--save", ""], stdout=subprocess.DEVNULL)
time.sleep(.7)
for f in ("/tmp/w/hunt-A/r7/p.sock",):
    if os.path.exists(f): os.unlink(f)
px = Proxy("/tmp/w/hunt-A/r7/p.sock", "/tmp/w/hunt-A/r7/r.sock")
try:
  with stack("s7", redis_url="unix:///tmp/w/hunt-A/r7/r.sock", gateway_redis="unix:///tmp/w/hunt-A/r7/p.sock") as st:
    r = redis.Redis(unix_socket_path="/tmp/w/hunt-A/r7/r.sock", decode_responses=True)
    say("=== P6: Redis is away for 7 s in the grace; the worker's last line comes 0.4 s after Redis is back")
    j = jid(); w = Builder(r, j).create(); w.log("one"); s = log(st, j, via="gateway"); time.sleep(.2)
    w.write_status("failed"); look(st); t = time.monotonic(); time.sleep(.1)
    px.refuse = True; px.cut(); s.pump(.05)
    time.sleep(7); px.refuse = False
    n0 = st.metrics()["tailgate_record_looks_total"]
    while st.ops("/readyz")[1].count('"up"') == 0 and time.monotonic() < t+12: time.sleep(.05)
    import json as J
    while 1:
        if '"redis":"up"' in st.ops("/readyz")[1].replace(" ", "") or time.monotonic() > t + 9.5: break
        time.sleep(.02)
    say("  back", f"{time.monotonic()-t:.2f}", st.ops("/readyz")[1][:200])
    tb = time.monotonic(); wrote = None
    while time.monotonic() < tb+4 and not s.ended:
        s.pump(.01)
        if not wrote and time.monotonic() > tb + .4: wrote = w.log("error: late"); say("  wrote")
    say(f"  ended {time.monotonic()-t:.2f}; lines {lines(s)} last {s.last_id}"); s.close()

    say("=== P7: an entry written between the XRANGE and the XINFO of a read in doubt, while the final tail is under way")
    # stream resumes from an id that is gone (doubt), log of terminal job: recent
    for k in range(2):
        j = jid(); w = Builder(r, j).create()
        ids = [w.log(f"l{i}") for i in range(3)]
        r.xdel(w.log_key, ids[1])
        state = {"x": 0, "n": 0}
        def hook(conn, args, j=j, w=w, state=state):
            key = f"job:{j}:logs"
            if args[0] in ("XRANGE", "XINFO") and key in args:
                say("   ", args[0], args[2:5], "sub" if conn["sub"] else "")
        px.hook = hook
        w.write_status("failed")
        s = log(st, j, ids[1], via="gateway")
        watch(s, 3); s.close()
finally:
    rd.terminate(); rd.wait()
