from h import *
import socket, ssl, urllib.parse
s=up("p9",config="/tmp/w/hunt-G/e.toml")
port=urllib.parse.urlsplit(s.plain_url).port
def raw(target, via="nginx", method="GET"):
    if via=="nginx": l=socket.create_connection(("127.0.0.1",port))
    else: l=s.socket_to(s.gateway_socket)
    l.settimeout(.25)
    l.sendall(f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode("latin-1"))
    b=b""
    try:
        while True:
            x=l.recv(65536)
            if not x: break
            b+=x
            if b'"id":' in b and b"event: who" in b and b"\n\n" in b.split(b"event: who")[1]: break
            if b"\r\n\r\n" in b and b" 200 " not in b[:20]: break
            if b"/t/" and b"retry:" in b and "/t/" in target: break
    except socket.timeout: pass
    l.close()
    st=b.split(b" ",2)[1:2]; st=st[0].decode() if st else "none"
    i=None
    if b'event: who' in b: i=json.loads(b.split(b"event: who\ndata: ")[1].split(b"\n")[0])["id"]
    body=b.split(b"\r\n\r\n",1)[1][:30] if b"\r\n\r\n" in b and st!="200" else b""
    return st,i,body
ok="ABCabc019._-"+"!$&()*+,;=:@~<>[]^|"
bad=[]
try:
    for o in range(1,256):
        c=chr(o)
        for form,t in (("raw",c),("enc","%%%02x"%o),("ENC","%%%02X"%o)):
            if form=="raw" and c in "\r\n \0/?#": continue
            for pre in ("/e/x%sy/s","//e/./x%sy//s","/e/z/../x%sy/s"):
                tgt=pre%t
                n=raw(tgt); 
                want=("200","x"+c+"y") if c in ok or c.isalnum() and o<128 else None
                if want and n[:2]!=want: bad.append((tgt,n,"want",want))
                if not want and n[0]=="200": bad.append((tgt,n,"want refusal"))
                if want and pre=="/e/x%sy/s":
                    g=raw(tgt,"gw")
                    if g[:2]!=want: bad.append((tgt,"gateway",g))
    for b in bad: print(b)
    for t in ("/t/a~b:c@d+e,f=g/s","/t/a~b:c@d+e,f=g/s/","/t/%61~b%3ac%40d%2be%2cf%3dg/s","/t/a~b:c@d+e,f=g//s//","http://localhost/e/x/s","HTTP://localhost//e/x/s","/e/x/s#frag","/e/x/s?","/e/x/s??a","/e/x/s;a=b","/e/x;a=b/s","/e/x/s%3fa","/e/..%2fe/x/s","/e/x/..%2fx/s","/e/x%5c..%5cs/s","/../e/x/s","/e/%2e/x/s","/e/%2e%2e/e/x/s","/e/x/s/","/e/x/s/.","/e/x/s/..","/e/x/./s","/e//s","/e/%2f/s","/E/x/s","/e/"+"a"*128+"/s","/e/"+"a"*129+"/s","/e/"+"%61"*128+"/s","/e/"+"%61"*128+"//s","/e/x%00/s","*","/e/x/s%00","/e/x/%73%0a"):
        print(t[:50], raw(t), "405?", raw(t,method="POST")[0])
finally:
    close_all(); s.down()
