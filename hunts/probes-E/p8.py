from h import *
from support.clients import raw_answer
L, l = site("L")
O={"Origin":"https://app.example.com"}
def one(path, headers, **k):
    try:
        with open_stream(L, path, headers=headers, **{"via":"plain",**k}) as a:
            a.pump(.2)
            return a.status, a.raw[:110]
    except Exception as e: return repr(e)[:160]
Bq=L.bearer()
print("-- weird headers with ignore_invalid_headers off")
for srv in ("", "ignore_invalid_headers off; underscores_in_headers on;"):
    l.use(srv)
    for name,val in (("X@y","1"),("X(y","1"),("X_Tailgate_Identity","a"),("X_Tailgate_Verdict","open"),("X-Tailgate-Identity","forged"),("X-V","a\x01b"),("X-V","\x7f"),("X-V","é"),("Authorization","Bearer \x01")):
        print(bool(srv), repr(name), repr(val), [one(p, {**(Bq if name!="Authorization" else {}), name:val}) for p in ("/api/jobs/j1/logs", ANY)][:2])
    print(" many headers", [one(p, [*Bq.items(), *((f"X-H{i}","v") for i in range(n))]) for n in (90,150,300) for p in ("/api/jobs/j1/logs","/api/jobs/none/stream")])
print("-- default server without buffers")
# another default server on the same address before ours
t=l.text
def with_default(server="", http="", before=""):
    s=t(server,http,before)
    s=s.replace("    large_client_header_buffers 4 64k;\n","",1)
    s=s.replace("    server {\n", f"    server {{ listen 127.0.0.1:{L.facts['nginx_port_plain']} default_server; listen 127.0.0.1:{L.facts['nginx_port']} ssl http2 default_server; server_name other; ssl_certificate {L.dir}/tls/cert.pem; ssl_certificate_key {L.dir}/tls/key.pem; return 200 other; }}\n    server {{\n",1)
    return s
l.text=with_default
try:
    l.use("large_client_header_buffers 4 64k;")
    print("doctor", l.doctor())
    tok={"Authorization":"Bearer "+"a"*20000}
    print("h1 plain", one("/api/jobs/j1/logs",tok)); print("h1 tls", one("/api/jobs/j1/logs",tok,via="tls")); print("h2", one("/api/jobs/j1/logs",tok,via="tls",http="2"))
except AssertionError as e: print(e)
l.text=t
print("-- http.conf after the server")
def late(server="",http="",before=""):
    s=t(server,http,before); inc=f"    include {l.nginx_dir}/http.conf;\n"
    s=s.replace(inc,"",1); i=s.rindex("}\n}"); 
    s=s.rstrip(); assert s.endswith("}"); s=s[:-1]+inc+"}\n"
    return s
l.text=late
try: l.use(); print("ok")
except AssertionError as e: print(str(e)[:300])
l.text=t
print("-- two server blocks, second includes too")
def two(server="",http="",before=""):
    s=t(server,http,before)
    i=s.index("    server {\n"); blk=s[i:s.rindex("}")].replace("server_name localhost","server_name second")
    return s[:s.rindex("}")]+blk+"}\n"
l.text=two
try: l.use(); print("ok", one(ANY,{}), one(ANY,{"Host":"second"}), l.doctor())
except AssertionError as e: print(str(e)[:300])
l.text=t
l.use()
