from h import *
import subprocess, shutil, tests_list
# render fixed templates over B and D (kept values from the rendered files)
def rerender(name, conf, *sets):
    s, x = site(name)
    nd=x.nginx_dir
    old=nd/"http.conf"
    # take over only the changed snippets
    for f in ("own-server.conf","fixed.conf"):
        t=open(f"/tmp/w/hunt-E/fix/nginx/{f}.in").read().replace("@DIR@",str(nd))
        (nd/f).write_text(t)
    return s,x
B,b=rerender("B",None)
(b.nginx_dir/"http.conf").write_text((b.nginx_dir/"http.conf").read_text().replace("nginx-answers2.sock","nginx-answers.sock"))
D,d=rerender("D",None)
O={"Origin":"https://app.example.com"}
def one(path, headers, method="GET", http="1.1"):
    t=time.time()
    try:
        with open_stream(D, path, headers=headers, method=method, via="tls" if http=="2" else "plain", http=http) as a:
            a.pump(.1)
            return a.status, sorted((k,v) for k,v in a.header_list if k.lower() not in ("retry-after","date","server","x-request-id","connection","transfer-encoding","content-length")), a.raw[:110], round(time.time()-t,1)
    except Exception as e: return repr(e)[:200]
def all_(): return [one("/api/jobs/x/events/stream", O), one(ANY, {**O,"Accept":"text/event-stream"}), one(ANY,O), one(ANY,O,"POST"), one(ANY,{**O,"Access-Control-Request-Method":"GET"},"OPTIONS"), one("/readyz",{})]
d.use(); base=all_()
for text in tests_list.T:
    try: d.use(http=text)
    except AssertionError as e: print("NGINX", text[:50], str(e).strip()[:160]); d.restore(); continue
    for n,(a,b_) in enumerate(zip(base,all_())):
        if isinstance(b_,str) or a[:2]!=b_[:2] or a[2][:60]!=b_[2][:60] or b_[3]>1.2: print(text[:70],n,b_ if isinstance(b_,str) or a[0]!=b_[0] else ([x for x in b_[1] if x not in a[1]],[x for x in a[1] if x not in b_[1]],b_[2][:60]))
d.restore()
