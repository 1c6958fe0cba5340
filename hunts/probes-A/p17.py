from common import *
say("=== P17: endings that do not cover every terminal status")
with stack("s17", {"route.log-stream.ending": '[ { status = ["ready"], event = "done", data = \'{}\' } ]', "route.events.ending": '[ { status = ["ready"], data = \'{}\' } ]'}) as st:
    r = st.redis
    j = jid(); w = Builder(r, j).create("failed"); r.xadd(w.log_key, {"text": "a"}, id="1-1")
    for k in range(3):
        s = log(st, j, "1-1" if k else None, via="gateway"); watch(s, 2); say("  last id", s.last_id); s.close()
    s = open_stream(st, f"/api/jobs/{j}/events/stream", headers=st.bearer()); watch(s, 2); s.close()
    j = jid(); w = Builder(r, j).create(); s = open_stream(st, f"/api/jobs/{j}/events/stream", headers=st.bearer()); w.write_status("failed"); watch(s, 3); s.close()
    say([l for l in st.logs() if l.get("level") not in ("info",)][:5])
