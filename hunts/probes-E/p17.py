from h import *
L, l = site("L")
Bq=L.bearer()
def one(path, headers, **k):
    try:
        with open_stream(L, path, headers=headers, **{"via":"plain",**k}) as a:
            a.pump(.2); return a.status, challenges(a), a.raw[:50]
    except Exception as e: return repr(e)[:160]
l.use(f'auth_basic x; auth_basic_user_file {l.file_of_passwords()};')
pw={"Authorization":"Basic "+base64.b64encode(b"alice:secret").decode()}
print("basic+bearer:", one("/api/jobs/j1/logs",Bq), one("/api/jobs/j1/logs",pw), one("/api/jobs/j1/logs",[*Bq.items(),*pw.items()]), one("/api/jobs/j1/logs",[*pw.items(),*Bq.items()]), l.doctor())
print("preflight:", one("/api/jobs/j1/logs",{"Origin":"https://app.example.com","Access-Control-Request-Method":"GET"},method="OPTIONS"))
lua=f"load_module {MOD}/ndk_http_module.so; load_module {MOD}/ngx_http_lua_module.so;"
lp='lua_package_path "/tmp/w/hunt-E/mods/x/usr/share/lua/5.1/?.lua;;"; '
acc="access_by_lua_block { local f = io.open('/tmp/w/hunt-E/acc.log','a'); f:write(ngx.var.uri..'\\n'); f:close(); if ngx.var.http_x_site ~= '1' then return ngx.exit(403) end }"
for mine in ("", "\naccess_by_lua_block { return }\n"):
    open("/tmp/w/hunt-E/acc.log","w").close(); os.chmod("/tmp/w/hunt-E/acc.log",0o666)
    l.use(acc, http=lp, head=lua, mine=mine)
    print(bool(mine), one(ANY,{"X-Site":"1"}), one("/api/jobs/j1/logs",{"X-Site":"1",**Bq}), one("/api/jobs/j1/logs",Bq), open("/tmp/w/hunt-E/acc.log").read().split(), l.doctor()[0])
# fail2ban: site's auth failure in the error log?
l.use(f'auth_basic x; auth_basic_user_file {l.file_of_passwords()}; error_log /tmp/w/hunt-E/site-error.log;')
bad={"Authorization":"Basic "+base64.b64encode(b"alice:wrong").decode()}
one(ANY,bad); one("/other",bad); time.sleep(.2)
print(open("/tmp/w/hunt-E/site-error.log").read()[-600:])
# h1 large header with Host last, default server has 8k
# server_rewrite_by_lua in site.conf
try: l.use("", http=lp, head=lua, mine="\nserver_rewrite_by_lua_block { return }\n")
except AssertionError as e: print(str(e)[:200])
l.restore()
