from h import *
L, l = site("L")
O={"Origin":"https://app.example.com"}
tok = L.token("blog","42")
b=Builder(L.redis,"j1").create(); b.log("a")
b2=Builder(L.redis,"7").create(); b2.log("a")
def one(path, headers, **k):
    try:
        with open_stream(L, path, headers=headers, via="plain", **k) as a:
            a.pump(.2)
            return a.status, a.headers.get("content-type"), a.headers.get("access-control-allow-origin"), a.headers.get("cache-control"),a.headers.get("x-accel-buffering"), a.raw[:70]
    except Exception as e: return repr(e)[:160]
def show(name, **kw):
    head=kw.get("head","")
    try: l.use(**kw)
    except AssertionError as e: print("NGINX",name,str(e)[:300]); l.restore(); return
    print("==",name, "doctor", l.doctor()[0])
    B=L.bearer()
    print("  any  ", one(ANY,{**O}))
    print("  page ", one("/api/jobs/j1/logs",{**O,**B}))
    print("  page7", one("/api/jobs/7/logs",{**O,**B}))
    print("  mobil", one("/api/jobs/j1/logs",{**O,**B,"User-Agent":"Mobile"}))
    print("  none ", one("/api/jobs/j1/logs",{**O}))
show("base")
show("named", before="location ~ ^/api/(?<rest>.*)$ { return 200 site; }")
show("digits", before=r"location ~ ^/api/jobs/\d+/ { return 200 site; }")
show("indirect set", server="set $block 1; if ($uri ~ ^/api/) { set $block 0; } if ($block) { return 403; }")
show("mobile", server="if ($http_user_agent ~ Mobile) { rewrite ^/(?!api/)(.*)$ /m/$1 last; }")
show("host uri", server='if ($host$uri !~ "^[^/]*/api/") { return 403; }')
show("request_filename", server='if ($request_filename !~ /api/) { return 403; }')
show("hide", server="proxy_hide_header Access-Control-Allow-Origin; proxy_hide_header Cache-Control; proxy_hide_header X-Accel-Buffering; proxy_hide_header Content-Type;")
show("more_set -s", server="more_set_headers -s '200 404' 'Cache-Control: public';", head="load_module /usr/lib/nginx/modules/ngx_http_headers_more_filter_module.so;")
show("more_set two", server="more_set_headers 'Server: x' 'Cache-Control: public, max-age=60';", head="load_module /usr/lib/nginx/modules/ngx_http_headers_more_filter_module.so;")
show("more_clear", server="more_clear_headers 'X-Accel-*' Cache-Control Content-Type;", head="load_module /usr/lib/nginx/modules/ngx_http_headers_more_filter_module.so;")
lua=f"load_module {MOD}/ndk_http_module.so; load_module {MOD}/ngx_http_lua_module.so;"
lp='lua_package_path "/tmp/w/hunt-E/mods/x/usr/share/lua/5.1/?.lua;;"; '
show("server_rewrite_lua", server="server_rewrite_by_lua_block { if ngx.var.uri:sub(1,5) ~= '/api/' then ngx.exit(403) end }", http=lp, head=lua)
show("access lua", server="access_by_lua_block { if ngx.var.http_x_site ~= '1' then ngx.exit(403) end }", http=lp, head=lua, mine="\naccess_by_lua_block { return }\n")
show("header_filter lua", server="header_filter_by_lua_block { ngx.header['X-L']='1' }", http=lp, head=lua)
show("if_uri", server='if ($uri !~ ^/api) { return 403; }')
show("set overwritten", server='set $first $uri; add_header X-First $first always;')
show("limit_rate", server="limit_rate 10;")
l.restore()
