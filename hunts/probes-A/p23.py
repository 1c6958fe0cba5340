from common import *
from rproxy import Proxy
import threading, redis, subprocess, signal
def look(st, s):
    n = st.metrics()["tailgate_record_looks_total"]
    while st.metrics()["tailgate_record_looks_total"] == n: time.sleep(.003); s.pump()
os.makedirs("/tmp/w/hunt-A/r23", exist_ok=True)
rd = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", "/tmp/w/hunt-A/r23/r.sock", "--dir", "/tmp/w/hunt-A/r23", "--save", "", "--lua-time-limit", "100", "--enable-debug-command", "yes"], stdout=subprocess.DEVNULL)
time.sleep(.7)
if os.path.exists("/tmp/w/hunt-A/r23/p.sock"): os.unlink("/tmp/w/hunt-A/r23/p.sock")
px = Proxy("/tmp/w/hunt-A/r23/p.sock", "/tmp/w/hunt-A/r23/r.sock")
try:
  with stack("s23", redis_url="unix:///tmp/w/hunt-A/r23/r.sock", gateway_redis="unix:///tmp/w/hunt-A/r23/p.sock") as st:
    r = redis.Redis(unix_socket_path="/tmp/w/hunt-A/r23/r.sock", decode_responses=True)
    def case(name, away, back, extra=.3):
        j = jid(); w = Builder(r, j).create(); w.log("one"); s = log(st, j); time.sleep(.1); w.write_status("failed"); look(st, s); t = time.monotonic(); say("==", name); away(); 
        say(f"  worker's line at {extra} s after Redis is back ({time.monotonic()-t:.2f})"); tb = time.monotonic(); 
        while time.monotonic() < tb + extra: s.pump(.01)
        w.log("error: late"); say(f"  wrote at {time.monotonic()-t:.2f}")
        watch(s, 4, t); s.close()
    def cutfor(sec):
        def f(): px.refuse = True; px.cut(); time.sleep(sec); px.refuse = False; 
        return f
    def busy(sec):
        def f():
            with __import__("contextlib").suppress(Exception): r.eval(f"local t=redis.call('TIME')[1]+0 while redis.call('TIME')[1]-t<{sec} do end return 1", 0)
        return f
    def stop(sec):
        def f(): rd.send_signal(signal.SIGSTOP); time.sleep(sec); rd.send_signal(signal.SIGCONT)
        return f
    case("cut for 0.3 s", cutfor(.3), None); case("cut for 2.2 s", cutfor(2.2), None, .8)
    case("BUSY 3 s", busy(3), None); case("SIGSTOP of redis 2.5 s", stop(2.5), None); case("SIGSTOP of redis 5.5 s", stop(5.5), None)
finally:
    rd.terminate(); rd.wait()
