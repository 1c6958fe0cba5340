from base import *
import uuid, re
A=Application(H/"a3.sock")
S=up("s3",{"route.job.record_grace_ms":0},config=DEPLOY/"blog-application.toml",application=A.url)
def raw(job, lines, query="", via="plain"):
    req=f"GET /api/v1/jobs/{job}/stream{query} HTTP/1.1\r\nHost: localhost\r\n"+"".join(l+"\r\n" for l in lines)+"\r\n"
    return raw_answer(S, req.encode("latin1") if not isinstance(req,bytes) else req, via, head_suffices=True, timeout=4)
n=0
def go(title, lines=(), query="", answer=(200,{"status":"running","progress":1})):
    global n
    job="j"+uuid.uuid4().hex[:8]
    sp=f"/api/v1/jobs/{job}/status"
    A.answers[sp]=answer
    try: got=raw(job,lines,query)
    except Exception as e: got=repr(e).encode()
    head,_,body=got.partition(b"\r\n\r\n")
    hs=[h.decode("latin1") for h in head.split(b"\r\n") if h.lower().startswith((b"retry-after",b"www-auth"))]
    print(f"== {title}\n   {head.splitlines()[0] if head else b''} {hs} body={body[:160]!r}")
    for h in A.asked_for(sp): print("   app got:",{k:v for k,v in h.items() if k in("authorization","cookie","x-session-id","x-forwarded-for","accept")})
    logs=[l for l in S.logs() if l["event"] in("application.failed",)]
    for l in logs[n:]: print("   log:",l["event"],l["why"])
    n=len(logs)
    sys.stdout.flush()
try:
    go("control token",query="?token=T")
    go("Basic + ?token",["Authorization: Basic c3RhZ2luZzpwdw=="],"?token=T")
    go("empty Authorization + ?token",["Authorization:"],"?token=T")
    go("Bearer H + ?token=Q",["Authorization: Bearer H"],"?token=Q")
    go("empty x-session-id + ?sessionId",["X-Session-Id:"],"?sessionId=S")
    go("?sessionId with CR LF + cookie",["Cookie: sid=mine"],"?sessionId=a%0d%0aX:1")
    go("?token with CR LF + cookie",["Cookie: sid=mine"],"?token=a%0d%0aX:1")
    go("?token=&token=bad ctl",["Cookie: sid=mine"],"?token=&token=a%0d%0aX:1")
    go("?token=good&token=ctl",["Cookie: sid=mine"],"?token=good&token=a%0d%0aX:1")
    go("?token=%ff",[],"?token=%ff%fe")
    go("cookie with 0x01",["Cookie: a=\x01; sid=mine"])
    go("cookie with DEL",["Cookie: a=\x7f; sid=mine"])
    go("Authorization with 0x01",["Authorization: Bearer a\x01b"])
    go("x-session-id with 0x01",["X-Session-Id: a\x01b"])
    go("X-Forwarded-For with 0x01",["X-Forwarded-For: a\x01b"])
    go("two x-session-id",["X-Session-Id: one","X-Session-Id: two"])
    go("two x-session-id, first empty",["X-Session-Id:","X-Session-Id: two"])
    go("two cookies, one empty",["Cookie:","Cookie: sid=mine"])
    go("bad percent",["Cookie: sid=mine"],"?x=%")
    ES=["Accept: text/event-stream"]
    go("429 + Retry-After 77",answer=(429,{},{"Retry-After":"77"}))
    go("429 + Retry-After 77, EventSource",ES,answer=(429,{},{"Retry-After":"77"}))
    go("503 + Retry-After 77, EventSource",ES,answer=(503,{},{"Retry-After":"77"}))
    go("429 date",answer=(429,{},{"Retry-After":"Wed, 21 Oct 2026 07:28:00 GMT"}))
    go("429 nonsense",answer=(429,{},{"Retry-After":"soon"}))
    go("429 -1",answer=(429,{},{"Retry-After":"-1"}))
    go("429 0",answer=(429,{},{"Retry-After":"0"}))
    go("429 1.5",answer=(429,{},{"Retry-After":"1.5"}))
    go("429 long",answer=(429,{},{"Retry-After":"7"*80}))
    go("429 utf8",answer=(429,{},{"Retry-After":"7\xa0"}))
    go("401 + own challenge",answer=(401,{},{"WWW-Authenticate":'Bearer realm="x"',"Retry-After":"5"}))
    go("500",answer=(500,{}))
    go("500 EventSource",ES,answer=(500,{}))
    go("302",answer=(302,{}))
    go("not JSON",answer=(200,"<html>"))
finally:
    S.down(); A.close()
