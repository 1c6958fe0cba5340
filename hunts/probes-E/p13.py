from h import *
import tests_list
L, l = site("L")
O={"Origin":"https://app.example.com"}
Bq={**L.bearer(),**O}
SKIP=("date","x-request-id","connection","transfer-encoding","content-length","server")
def one(path, headers, **k):
    t=time.time()
    try:
        with open_stream(L, path, headers={**headers,"Accept-Encoding":"gzip"}, **{"via":"plain",**k}) as a:
            a.pump(.1)
            return a.status, sorted((k,v) for k,v in a.header_list if k.lower() not in SKIP), a.raw[:40] if "jobs" not in path or a.status!=200 else a.raw[:10], time.time()-t<1.5
    except Exception as e: return repr(e)[:160]
def live(job):
    lines = routes.Lines(L, job).create()
    try:
      with open_stream(L, lines.path, headers={**lines.headers(),**O,"Accept-Encoding":"gzip"}, via="plain") as s:
        if s.status!=200: return s.status, s.raw[:80]
        got=[]
        for n in (1,2,3):
            lines.write_number(n); got.append(lines.number_in(s.next_event(timeout=1.5)))
        return got, sorted((k,v) for k,v in s.header_list if k.lower() not in SKIP)
    except Exception as e: return repr(e)[:200]
cnt=[0]
def all_():
    cnt[0]+=1
    return [one(ANY,O),one("/api/jobs/j1/logs",Bq),one("/api/jobs/j1/logs",O),one("/api/jobs/none/logs",Bq),one("/api/jobs/j1/logs?limit=0",Bq),one(ANY,O,method="POST",body=b"x"),one(ANY,{**O,"Access-Control-Request-Method":"GET"},method="OPTIONS"),one("/readyz",{}),one("/api/jobs/j1/logs",{**O,"X-L":"x"*50000}),live(f"z{cnt[0]}-{int(time.time())}")]
l.use(); base=all_()
extra=['proxy_hide_header WWW-Authenticate; proxy_hide_header X-Tailgate-Identity; proxy_hide_header X-Tailgate-Verdict;','proxy_pass_header X-Accel-Redirect; proxy_pass_header X-Accel-Charset;','proxy_cookie_flags ~ secure; proxy_redirect off;','proxy_connect_timeout 1ms; proxy_next_upstream_timeout 1ms; proxy_next_upstream_tries 1;','proxy_ignore_headers X-Accel-Buffering Cache-Control Expires Vary;','client_body_buffer_size 1k; client_body_timeout 1s; client_header_timeout 1s;','proxy_cache_bypass 1; proxy_no_cache 0; proxy_cache_methods GET POST; proxy_cache_lock on;','proxy_headers_hash_bucket_size 256;','sub_filter_last_modified on; sub_filter_types text/event-stream application/json; sub_filter a b;','limit_rate 2000;','set_real_ip_from 127.0.0.0/8; real_ip_header proxy_protocol;','add_header X-A b; add_trailer X-B c always;','merge_slashes off; absolute_redirect off;']
for text in tests_list.T+extra:
  for where in ("http","server"):
    if where=="server" and text in tests_list.T and "hide" not in text and "trailer" not in text: continue
    try: l.use(**{where: text})
    except AssertionError as e: print("NGINX", where, text[:50], str(e).strip()[:160]); l.restore(); continue
    for n,(a,b) in enumerate(zip(base,all_())):
        if a!=b:
            if isinstance(a,tuple) and isinstance(b,tuple) and len(b)==len(a) and a[0]==b[0]:
                print(where,text[:70],n,"DIFF",[x for x in b[1] if x not in a[1]],[("MISSING",x[0]) for x in a[1] if x not in b[1]], b[2:] if a[2:]!=b[2:] else "")
            else: print(where,text[:70],n,b)
    sys.stdout.flush()
l.restore()
print("END")
