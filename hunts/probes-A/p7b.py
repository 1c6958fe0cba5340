from common import *
from rproxy import Proxy
import redis, subprocess
def lines(s): return [e.json()["text"][:14] for e in s.events if e.name == "log"]
os.makedirs("/tmp/w/hunt-A/r7", exist_ok=True)
rd = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", "/tmp/w/hunt-A/r7/r.sock", "--dir", "/tmp/w/hunt-A/r7", "--save", ""], stdout=subprocess.DEVNULL)
time.sleep(.7)
for f in ("/tmp/w/hunt-A/r7/p.sock",):
    if os.path.exists(f): os.unlink(f)
px = Proxy("/tmp/w/hunt-A/r7/p.sock", "/tmp/w/hunt-A/r7/r.sock")
try:
  with stack("s7b", {"route.log-stream.end_grace_ms": 0}, redis_url="unix:///tmp/w/hunt-A/r7/r.sock", gateway_redis="unix:///tmp/w/hunt-A/r7/p.sock") as st:
    r = redis.Redis(unix_socket_path="/tmp/w/hunt-A/r7/r.sock", decode_responses=True)
    say("=== P7b end_grace 0: E written between XRANGE (in doubt) and the final XINFO; replies on the logs link are late")
    for k in range(2):
        j = jid(); w = Builder(r, j).create()
        ids = [w.log(f"l{i}") for i in range(3)]; r.xdel(w.log_key, ids[1])
        hold = {"on": False, "conn": None, "n": 0}
        ev = []
        def hook(conn, args):
            if f"job:{j}:logs" in args and args[0] in ("XRANGE", "XINFO"):
                ev.append((args[0], args[2])); 
                if args[0] == "XRANGE" and not hold["n"]: hold["n"] = 1; hold["conn"] = id(conn); hold["on"] = True
        px.hook = hook; px.hold = lambda conn: hold["on"] and id(conn) == hold["conn"]
        s = send(st, path(j), headers={**seal(st, "log-stream", j, user="alice"), "Last-Event-ID": ids[1]}, via="gateway"); s.wait_head()
        time.sleep(.1); e = w.log("E"); w.write_status("failed")
        t = time.monotonic()
        while sum(a == "XINFO" for a, _ in ev) < 2 and time.monotonic() < t+4: s.pump(.01)
        say("   sent", ev); time.sleep(.05); hold["on"] = False
        watch(s, 2); say("  E =", e, "lines", lines(s)); s.close()
        px.hold = lambda conn: False
finally:
    rd.terminate(); rd.wait()
