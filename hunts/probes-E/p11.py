from h import *
L, l = site("L")
O={"Origin":"https://app.example.com"}
def one(path, headers, **k):
    try:
        with open_stream(L, path, headers=headers, **{"via":"plain",**k}) as a:
            a.pump(.2)
            return a.status, {k:v for k,v in a.header_list if k.lower() in("location","set-cookie","www-authenticate","content-encoding","x-a")}, a.raw[:70]
    except Exception as e: return repr(e)[:160]
Bq=L.bearer()
def live(job):
    lines = routes.Lines(L, job).create()
    try:
      with open_stream(L, lines.path, headers={**lines.headers(),"Accept-Encoding":"gzip"}, via="plain") as s:
        if s.status!=200: return s.status, s.raw[:80]
        got=[]
        for n in (1,2,3):
            lines.write_number(n); got.append(lines.number_in(s.next_event(timeout=3)))
        lines.finish(); return got, s.rest(timeout=10)[-1].name
    except Exception as e: return repr(e)[:200]
N=[0]
def show(name, **kw):
    N[0]+=1
    try: l.use(**kw)
    except AssertionError as e: print("NGINX",name,str(e)[:300]); l.restore(); return
    d=l.doctor()
    print("==",name, "| doctor", d[0], d[1].strip()[:300] if d[0] else "")
    print("  any",one(ANY,O)[0],"page",one("/api/jobs/j1/logs",Bq)[0], "none",one("/api/jobs/j1/logs",{})[0],"post",one(ANY,{},method="POST",body=b"x"*10)[0],"health",one("/readyz",{})[0], "live", live(f"lv{N[0]}-{int(time.time())}"))
m=lambda *n: " ".join(f"load_module {MOD}/{x}.so;" for x in n)
show("modsecurity", head=m("ngx_http_modsecurity_module"), server="modsecurity on; modsecurity_rules 'SecRuleEngine On\nSecRequestBodyAccess On\nSecResponseBodyAccess On\nSecResponseBodyMimeType text/event-stream application/json\nSecRule ARGS:evil \"@streq 1\" \"id:1,phase:1,deny,status:403\"';")
show("modsecurity off", head=m("ngx_http_modsecurity_module"), mine="\nmodsecurity off;\n", server="modsecurity on; modsecurity_rules 'SecRuleEngine On\nSecRequestBodyAccess On\nSecResponseBodyAccess On\nSecResponseBodyMimeType text/event-stream application/json\nSecRule ARGS:evil \"@streq 1\" \"id:1,phase:1,deny,status:403\"';")
print("   evil", one(ANY+"?evil=1",{}), one("/api/jobs/j1/logs?evil=1",Bq))
show("modsecurity reqonly", head=m("ngx_http_modsecurity_module"), server="modsecurity on; modsecurity_rules 'SecRuleEngine On\nSecRequestBodyAccess On\nSecResponseBodyAccess Off\nSecRule ARGS:evil \"@streq 1\" \"id:1,phase:1,deny,status:403\"';")
print("   evil", one(ANY+"?evil=1",{}), one("/api/jobs/j1/logs?evil=1",Bq))
show("echo/set_misc", head=m("ndk_http_module","ngx_http_set_misc_module","ngx_http_echo_module"), server="set_unescape_uri $zz $arg_a; set_random $rr 1 9; set_if_empty $zz x;")
show("auth_pam", head=m("ngx_http_auth_pam_module"), server='auth_pam "x"; auth_pam_service_name nginx;')
show("auth_pam off", head=m("ngx_http_auth_pam_module"), server='auth_pam "x"; auth_pam_service_name nginx;', mine="\nauth_pam off;\n")
show("auth_pam http off", head=m("ngx_http_auth_pam_module"), http='auth_pam "x"; auth_pam_service_name nginx;', mine="\nauth_pam off;\n")
show("cache_purge", head=m("ngx_http_cache_purge_module"), http="proxy_cache_path /tmp/w/hunt-E/cacheP keys_zone=cp:1m; proxy_cache cp; proxy_cache_purge PURGE from all;")
print("   PURGE", one(ANY,{},method="PURGE"), one("/api/jobs/j1/logs",Bq,method="PURGE"))
show("srcache_store", head=m("ndk_http_module","ngx_http_srcache_filter_module"), server="srcache_store PUT /memc key=$uri; srcache_fetch GET /memc; srcache_store_no_cache on; srcache_store_private on; srcache_store_no_store on;", before="location = /memc { internal; return 404; }")
show("srcache off", head=m("ndk_http_module","ngx_http_srcache_filter_module"), server="srcache_store PUT /memc key=$uri; srcache_store_no_cache on; srcache_store_private on; srcache_store_no_store on; srcache_response_cache_control off;", before="location = /memc { internal; return 404; }")
show("njs", head=m("ngx_http_js_module"), http="js_path /tmp/w/hunt-E/js; js_import m.js; js_set $jv m.v;", server="if ($jv = no) { return 403; }")
show("perl", head=m("ngx_http_perl_module"), http="perl_set $pv 'sub { return \"x\"; }';", server="add_header X-A $pv always;")
show("xslt", head=m("ngx_http_xslt_filter_module"), server="xslt_types *; xslt_param a b; xslt_last_modified on;")
show("dav_ext", head=m("ngx_http_dav_ext_module"), server="dav_methods PUT DELETE MKCOL COPY MOVE; dav_ext_methods PROPFIND OPTIONS; root /tmp/w/hunt-E/store;")
print("   OPTIONS", one(ANY,{},method="OPTIONS"), one(ANY,{**O,"Access-Control-Request-Method":"GET"},method="OPTIONS"), one(ANY,{},method="PROPFIND"), one("/other",{},method="OPTIONS"))
show("fancyindex", head=m("ngx_http_fancyindex_module"), server="fancyindex on; root /;")
show("nchan", head=m("ngx_nchan_module"), server="nchan_message_timeout 5m; nchan_access_control_allow_origin '*';")
show("uploadprogress", head=m("ngx_http_uploadprogress_module"), http="upload_progress up 1m;")
show("geoip?", head="", server="valid_referers none server_names; if ($invalid_referer) { return 403; }")
show("auth_delay", server=f"auth_delay 2s; auth_basic x; auth_basic_user_file {l.file_of_passwords()};")
show("limit_req delay", http="limit_req_zone $server_name zone=dd:32k rate=2r/s;", server="limit_req zone=dd burst=20;")
show("dry", http="limit_req_zone $server_name zone=de:32k rate=1r/m; limit_conn_zone $server_name zone=df:32k;", server="limit_req zone=de; limit_req_dry_run on; limit_conn df 1; limit_conn_dry_run on; limit_rate 0;")
show("try_files server", server="try_files $uri $uri/ /page;")
show("error_page named", server="error_page 404 403 401 = @x; recursive_error_pages on;", before="location @x { return 418; }")
show("aio", server="aio threads; sendfile on; directio 512; output_buffers 1 512; aio_write on;")
show("secure", server='secure_link $arg_md5; secure_link_md5 "$uri x"; if ($secure_link = "0") { return 410; }')
show("server dup uninit", server="uninitialized_variable_warn on;")
show("http uninit", http="uninitialized_variable_warn on;")
show("stub", server="stub_status;")
show("client body", server="client_body_in_file_only on; client_body_buffer_size 8; client_body_in_single_buffer on; client_body_timeout 1s;")
show("ssl_client", server="ssl_verify_client optional_no_ca; if ($ssl_client_verify = FAILED) { return 496; }")
show("tokens etc", server="server_tokens off; etag off; if_modified_since off; max_ranges 0; msie_padding on; types_hash_max_size 2048; resolver 127.0.0.1; port_in_redirect off; log_not_found off; subrequest_output_buffer_size 16; lingering_close always; lingering_timeout 1s; keepalive_requests 1; keepalive_disable safari; reset_timedout_connection on; satisfy any;")
l.restore()
