from common import *
import threading
def rss(pid, what="VmRSS"):
    for l in open(f"/proc/{pid}/status"):
        if l.startswith(what): return int(l.split()[1]) // 1024
N = int(sys.argv[1]) if len(sys.argv) > 1 else 200
SIZE = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
def look(st):
    n = st.metrics()["tailgate_record_looks_total"]
    while st.metrics()["tailgate_record_looks_total"] == n: time.sleep(.005)
with stack("s8", nginx=False) as st:
    r = st.redis; r.config_set("client-output-buffer-limit", "normal 0 0 0")
    j = jid(); w = Builder(r, j).create(); w.log("a" * SIZE)
    ss = [log(st, j, via="gateway") for _ in range(N)]
    time.sleep(.5); w.log("z" * SIZE); stop = []
    def reader():
        while not stop:
            for s in ss: s.pump(0)
            time.sleep(.005)
    th = threading.Thread(target=reader); th.start(); time.sleep(1.5)
    calls0 = r.info("commandstats").get("cmdstat_xinfo|stream", {}).get("calls", 0); out0 = r.info("stats")["total_net_output_bytes"]
    r.config_resetstat()
    say(f"N={N} size={SIZE} rss before {rss(st.gateway_pid)} MB redis {r.info('memory')['used_memory']>>20} MB")
    w.write_status("failed"); t = time.monotonic(); peak = mem = worst = 0
    while time.monotonic() < t + 5 and not all(s.ended for s in ss):
        a = time.monotonic(); st.ops("/healthz"); worst = max(worst, time.monotonic() - a)
        peak = max(peak, rss(st.gateway_pid)); time.sleep(.01)
    stop.append(1); th.join()
    i = r.info("stats")
    say(f"  ended all after {time.monotonic()-t:.2f}: {sum(bool(s.ended) for s in ss)}; XINFO calls {r.info('commandstats').get('cmdstat_xinfo|stream', {}).get('calls')}, bytes from Redis {i['total_net_output_bytes']>>20} MB; gateway peak rss {peak} MB (VmHWM {rss(st.gateway_pid,'VmHWM')}), worst /healthz {worst*1000:.0f} ms; redis peak {r.info('memory')['used_memory_peak']>>20} MB")
