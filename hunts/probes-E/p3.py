from h import *
D, d = site("D")
O={"Origin":"https://app.example.com"}
def one(path, headers, method="GET", http="1.1"):
    t=time.time()
    try:
        with open_stream(D, path, headers=headers, method=method, via="tls" if http=="2" else "plain", http=http) as a:
            a.pump(.1)
            return a.status, sorted((k,v) for k,v in a.header_list if k.lower() not in ("retry-after","date","server","x-request-id","connection","transfer-encoding","content-length")), a.raw[:110], round(time.time()-t,1)
    except Exception as e: return repr(e)[:200]
def all_(http="1.1"):
    return [one("/api/jobs/x/events/stream", O, http=http), one(ANY, {**O,"Accept":"text/event-stream"},http=http), one(ANY,O,http=http), one(ANY,O,"POST",http=http), one(ANY,{**O,"Access-Control-Request-Method":"GET"},"OPTIONS",http=http), one("/readyz",{},http=http)]
d.use()
base={h: all_(h) for h in ("1.1","2")}
for r in base["1.1"]: print("BASE", r)
import tests_list
for where in ("http","server"):
  for text in tests_list.T:
    try: d.use(**{where: text})
    except AssertionError as e:
        print("NGINX", where, text[:60], str(e).strip().splitlines()[0][:200]); d.restore(); continue
    doc=d.doctor()
    for h in (("1.1","2") if "http2" in text else ("1.1",)):
      got=all_(h)
      for n,(a,b) in enumerate(zip(base[h],got)):
        if isinstance(b,str): print(where,h,text[:80],n,b,"DOC",doc[0]); continue
        diff=[x for x in b[1] if x not in a[1]]+["MISSING %s"%x[0] for x in a[1] if x not in b[1]]
        if a[0]!=b[0] or diff or a[2][:60]!=b[2][:60] or b[3]>1.2:
            print(where, h, "|", text[:80], "|",n, (b[0],diff,b[2][:70] if a[2][:60]!=b[2][:60] else "same body",b[3]),"DOC",doc[0], flush=True)
d.use()
