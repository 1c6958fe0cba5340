from h import *
R, r = site("R")
import subprocess
print(r.own[r.own.index("stream {"):][:200])
pristine=r.own
def try_(name, extra):
    (r.nginx_dir/"nginx.conf").write_text(pristine.replace("stream {", "stream {\n"+extra,1))
    try: r._run("-t","-q")
    except AssertionError as e: print("NGINX",name,str(e)[:200]); return
    os.kill(R.nginx_pid, 1); time.sleep(1)
    s=__import__("socket").socket(__import__("socket").AF_UNIX)
    leg=[x for x in os.listdir(R.run_dir) if "redis" in x and "tls" in x or "leg" in x]
    dump=r.whole_configuration()
    listen=[l.split("unix:")[1].rstrip("; ") for l in (r.nginx_dir/"stream.conf").read_text().splitlines() if "listen" in l][0]
    s.settimeout(3)
    try:
        s.connect(listen); s.sendall(b"PING\r\n"); got=s.recv(200)
    except Exception as e: got=repr(e)
    print(name, got, r.doctor(dump)[0])
try_("base","")
for x in ("proxy_protocol on;","allow 10.0.0.0/8; deny all;","limit_conn_zone $server_port zone=s:32k; limit_conn s 1;","proxy_timeout 1s;","proxy_bind 127.0.0.1;","proxy_download_rate 10; proxy_upload_rate 10;","ssl_preread on; preread_timeout 2s;","proxy_ssl_certificate /x;","proxy_buffer_size 64;","proxy_ssl_session_reuse off; proxy_next_upstream off;","proxy_requests 1;","access_log off;","tcp_nodelay off;", "proxy_ssl_ciphers NULL;","proxy_ssl_protocols TLSv1;", "proxy_half_close on;"):
    try_(x, x)
(r.nginx_dir/"nginx.conf").write_text(pristine); os.kill(R.nginx_pid,1)
