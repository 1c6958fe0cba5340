from h import *
import socket
L,l=site("L")
files={f:l.nginx_dir/f for f in ("http.conf","server.conf","route-entry.conf","fixed.conf")}
old={f:p.read_text() for f,p in files.items()}
try:
    h=old["http.conf"].replace('map $tg_share $tg_next {\n    default      "@tg_route_$tg_route";\n    application  "@tg_application";\n}','# A body above 16 KB is refused by its Content-Length, before nginx reads it.\nmap $content_length $tg_body {\n    default                  "";\n    "~^(1[7-9]|[2-9]\\d|\\d{3,})\\d{3}$" large;\n}\nmap "$tg_share $tg_body" $tg_next {\n    default          "@tg_route_$tg_route";\n    "~ large$"       "@tg_too_large";\n    "~^application " "@tg_application";\n}')
    assert h!=old["http.conf"]; files["http.conf"].write_text(h)
    s=old["server.conf"].replace("    set $tg_uri /413;\n","    set $tg_uri /413;\n    client_max_body_size 0;\n    keepalive_timeout 0;\n    proxy_request_buffering off;\n"); assert s!=old["server.conf"]; files["server.conf"].write_text(s)
    r=old["route-entry.conf"].replace("client_max_body_size 16k;","client_max_body_size 0;"); assert r!=old["route-entry.conf"]; files["route-entry.conf"].write_text(r)
    files["fixed.conf"].write_text(old["fixed.conf"].replace("proxy_request_buffering   on;\n",""))
    fx=l.nginx_dir/"to-own-answer.conf"; fo=fx.read_text(); 
    l.use('add_header Strict-Transport-Security x always; error_page 413 /page;')
    o={"Origin":"https://app.example.com"}
    t=time.time()
    a=fetch(L, ANY, method="POST", headers={**o,"Content-Length":"20000"}, body=b"x"*20000, via="plain"); print(a.status,a.headers.get("content-type"),a.headers.get("access-control-allow-origin"),a.headers.get("strict-transport-security"),a.raw[:40])
    with open_stream(L, ANY, method="POST", headers={**o,"Content-Length":str(10**12)}, via="plain", timeout=3) as a: print("10^12",a.status)
except Exception as e: print(repr(e)[:300])
finally:
    for f,p in files.items(): p.write_text(old[f])
    l.restore()
