from h import *
B, b = site("B")

N=[100]
def who(cookie):
    N[0]+=1
    t=time.time()
    try:
        with open_stream(B, f"/api/v1/jobs/k{N[0]}/stream", headers={"Cookie": cookie} if cookie else {}, via="plain") as a:
            a.pump(.3)
            return a.status, a.raw[-120:] if a.status!=200 else "progress" in a.raw.decode(), round(time.time()-t,1)
    except Exception as e: return repr(e)[:150]
for http in ['limit_rate 20;','proxy_limit_rate 10;','proxy_ignore_headers Cache-Control; proxy_http_version 1.0; proxy_next_upstream off;proxy_redirect default;',
 'charset koi8-r; charset_types *; override_charset on; gzip on; gzip_types *; gzip_proxied any; expires 1h;','ssi on; ssi_types *; postpone_output 6000;',
 'error_page 401 403 404 =200 /page; proxy_intercept_errors on; recursive_error_pages on;','client_header_buffer_size 64;','slice 1k;','proxy_request_buffering off; proxy_buffering off;',
 'proxy_hide_header Content-Type; ', 'proxy_ssl_verify off;', 'keepalive_timeout 0;','chunked_transfer_encoding off;', 'merge_slashes off;', 'proxy_read_timeout 1ms; proxy_connect_timeout 1ms; proxy_send_timeout 1ms; send_timeout 1ms;',
 'proxy_headers_hash_bucket_size 32;','proxy_temp_file_write_size 4k; proxy_buffers 4 2k; proxy_buffer_size 2k; proxy_busy_buffers_size 4k;','access_log off; error_log /dev/null debug;',
 'satisfy any; deny all;', 'ssl_verify_client optional_no_ca;', 'if_modified_since before; etag off; server_tokens off; add_header X-A b always; add_trailer X-T v always;', 'default_type text/html; types { }', 'proxy_pass_request_body off;', 'proxy_cookie_path / /x; proxy_cookie_flags ~ secure;',
 'limit_conn_zone $server_name zone=zz:32k; limit_conn zz 1; limit_req_zone $server_name zone=qq:32k rate=1r/m; limit_req zone=qq burst=50 nodelay;',
 'auth_request /nope;','real_ip_header X-Forwarded-For; set_real_ip_from 0.0.0.0/0; set_real_ip_from unix:; real_ip_recursive on;', 'client_header_timeout 1s; client_body_timeout 1s; underscores_in_headers on; ignore_invalid_headers off;', 'http2_push_preload on; http2_push /a; userid on; userid_name u;', 'open_file_cache max=10; open_file_cache_errors on; disable_symlinks on;', 'max_ranges 0; keepalive_requests 1; keepalive_disable none; lingering_close always;','aio threads; sendfile on; tcp_nopush on; output_buffers 1 1k; directio 1;','proxy_force_ranges on; proxy_store_access user:rw;', 'proxy_set_header Cookie ""; proxy_set_header X-Tailgate-Identity a;']:
    try: b.use(http=http)
    except AssertionError as e:
        print("NGINX", http, str(e)[:300]); b.restore(); continue
    print(http[:70], "|", who("user=owner"), who("user=mallory"), who(""))
b.use()
