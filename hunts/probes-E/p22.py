from h import *
import socket, ssl
L,l=site("L")
t=l.text
def with_default(server="", http="", before=""):
    s=t(server,http,before).replace("    large_client_header_buffers 4 64k;\n","",1)
    return s.replace("    server {\n", f"    server {{ listen 127.0.0.1:{L.facts['nginx_port_plain']} default_server; listen 127.0.0.1:{L.facts['nginx_port']} ssl http2 default_server; server_name other; ssl_certificate {L.dir}/tls/cert.pem; ssl_certificate_key {L.dir}/tls/key.pem; return 200 other; }}\n    server {{\n",1)
l.text=with_default
l.use("large_client_header_buffers 4 64k;")
print(l.doctor())
def raw(head):
    s=socket.create_connection(("127.0.0.1",L.facts["nginx_port_plain"])); s.settimeout(3); s.sendall(head.encode()); return s.recv(200)[:60]
big="Authorization: Bearer "+"a"*20000+"\r\n"
print("Host first", raw("GET /api/jobs/j1/logs HTTP/1.1\r\nHost: localhost\r\n"+big+"\r\n"))
print("Host last ", raw("GET /api/jobs/j1/logs HTTP/1.1\r\n"+big+"Host: localhost\r\n\r\n"))
print("long line ", raw("GET /api/jobs/j1/logs?token="+"a"*20000+" HTTP/1.1\r\nHost: localhost\r\n\r\n"))
# h2 without SNI: :authority comes first, yet the buffers are those of the default server
import h2.connection,h2.config,h2.events
for sni in ("localhost",None):
    c=ssl.create_default_context(); c.check_hostname=False; c.verify_mode=ssl.CERT_NONE; c.set_alpn_protocols(["h2"])
    w=c.wrap_socket(socket.create_connection(("127.0.0.1",L.facts["nginx_port"])),server_hostname=sni)
    h=h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8")); h.initiate_connection(); w.sendall(h.data_to_send())
    h.send_headers(1,[(":method","GET"),(":scheme","https"),(":authority","localhost"),(":path","/api/jobs/j1/logs"),("authorization","Bearer "+"a"*20000)],end_stream=True); w.sendall(h.data_to_send())
    w.settimeout(3); got=[]
    try:
        while not any(isinstance(e,(h2.events.ResponseReceived,h2.events.ConnectionTerminated,h2.events.StreamReset)) for e in got): 
            d=w.recv(65536); 
            if not d: break
            got+=h.receive_data(d)
    except Exception as e: got.append(e)
    print("h2 sni",sni,[type(e).__name__+str(getattr(e,"headers",""))[:40] for e in got][-2:])
l.text=t; l.restore()
