from base import *
import random, socket
S={}
for frm in ("x-forwarded-for","forwarded"):
    S[frm]=up("s12"+frm[0],{"limits.streams_per_address":3,"limits.address_from":frm,"limits.trusted_proxies":["10.0.0.0/8","fd00::/8"],"route.spools.on_unavailable":"status"},nginx=False)
A=['"','\\',',',';','for=','For="','[','2001:db8::1',']',':','443','10.0.0.1','203.0.113.9','::ffff:1.2.3.4','%eth0','unix:','unknown','_x',' ','\t','=','\xff','x'*300,'::','1.2.3.4:','"[','"']
random.seed(3)
try:
    for frm,st in S.items():
        c={}; pid=st.gateway_pid
        for i in range(1500):
            v="".join(random.choice(A) for _ in range(random.randrange(0,40)))
            l=socket.socket(socket.AF_UNIX); l.connect(st.gateway_socket); l.settimeout(3)
            n=random.choice([1,1,2,3])
            l.sendall((f"GET {P} HTTP/1.1\r\nHost: x\r\n"+"".join(("Forwarded" if frm=="forwarded" else "x-forwarded-FOR")+": "+v+"\r\n" for _ in range(n))+"\r\n").encode("latin1"))
            d=l.recv(100)[9:12]; c[d]=c.get(d,0)+1; l.close()
        print(frm,c,st.gateway_pid==pid,len(st.logs("client.address")), st.metrics().get('tailgate_streams_open{route="spools"}'))
        bad=[l for l in st.log_text().splitlines() if not l.startswith("{")]; print("  non-JSON log lines:",bad[:3])
finally:
    for st in S.values(): st.down()
