from h import *
L,l=site("L")
hc=l.nginx_dir/"http.conf"; sc=l.nginx_dir/"server.conf"; th,ts=hc.read_text(),sc.read_text()
try:
    hc.write_text(th.replace('    "~^\\|4..$"  yes;\n}','    "~^\\|4(13|31)$"  yes;\n}\nmap "$tg_verdict|$tg_auth_status" $tg_no_verdict {\n    default     "";\n    "~^\\|4..$"  "";\n    "~^\\|"      yes;\n}'))
    sc.write_text(ts.replace('if ($tg_verdict = "") {','if ($tg_no_verdict) {'))
    assert hc.read_text()!=th and sc.read_text()!=ts
    Bq=L.bearer()
    def one(p,h,**k):
        with open_stream(L,p,headers=h,via="plain",**k) as a: a.pump(.2); return a.status,a.raw[:80]
    l.use("ignore_invalid_headers off;")
    print("X@y", one("/api/jobs/j1/logs",{**Bq,"X@y":"1"}), one(ANY,{"X@y":"1"}))
    print("huge", one("/api/jobs/j1/logs",{**Bq,"X":"y"*50000})); print("401", one("/api/jobs/j1/logs",{})); print("ok", one("/api/jobs/j1/logs",Bq))
    os.kill(L.gateway_pid, 19)  # nothing; stop to see 502/504? 
    os.kill(L.gateway_pid, 18)
finally:
    hc.write_text(th); sc.write_text(ts); l.restore()
