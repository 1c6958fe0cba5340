from h import *
import urllib.parse, socket
s=up("p9b",config="/tmp/w/hunt-G/e.toml")
try:
    from pathlib import Path
    f=Path(s.facts["nginx_dir"])/"http.conf"; t=f.read_text()
    old="""    "~^/[A-Za-z0-9._~!$&'()*+,;=:@/-]*\\z"     $uri;"""
    assert old in t
    f.write_text(t.replace(old,"""    "~^/[][A-Za-z0-9._~!$&'()*+,;=:@<>|^/-]*\\z"     $uri;"""))
    os.kill(s.nginx_pid,1); time.sleep(1.5)
    for c in "<>[]^|a":
        for t in (f"//e/./x{c}y//s",f"/e/z/../x%{ord(c):02x}y/s",f"/e/x{c}y/s"):
            l=socket.create_connection(("127.0.0.1",urllib.parse.urlsplit(s.plain_url).port)); l.settimeout(.5)
            l.sendall(f"GET {t} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()); b=b""
            try:
                while b"event: who" not in b and b"404" not in b[:20]: b+=l.recv(9999)
            except OSError: pass
            print(c,b[9:12], b.split(b"data: ")[-1][:14] if b"who" in b else "", end="; ")
        print()
finally:
    close_all(); s.down()
