from base import *
def run(name, behind, frm, trusted=("127.0.0.0/8","10.0.0.0/8")):
    S=up(name,{"limits.streams_per_address":1,"limits.address_from":frm,"limits.trusted_proxies":list(trusted),"route.spools.on_unavailable":"status"},nginx_settings={"TG_BEHIND_PROXY":behind})
    n=0
    try:
        def go(title,*reqs,header="X-Forwarded-For",via="plain",http="1.1"):
            nonlocal n
            held=[];out=[]
            for lines in reqs:
                if isinstance(lines,str): lines=[lines]
                s=open_stream(S,P,headers=[(header,l) for l in lines],via=via,http=http)
                held.append(s); out.append(s.status)
            for s in held: s.close()
            time.sleep(.15)
            print(f"{name} {title:55} {out}",flush=True)
            new=S.logs("client.address")[n:]; n+=len(new)
            for l in new: print("      log:", l["why"], l["held_back"])
            time.sleep(1.1 if new else 0)
        yield go
    finally:
        S.down()
for go in run("xff-yes","yes","x-forwarded-for"):
    go("control","203.0.113.9","203.0.113.9")
    go("LB adds a line",["6.6.6.1","203.0.113.9"],["6.6.6.2","203.0.113.9"])
    go("LB adds a line h2",["6.6.6.1","203.0.113.9"],["6.6.6.2","203.0.113.9"],via="tls",http="2")
    go("empty first line",["","203.0.113.9"],["","203.0.113.9"])
    go("empty hop at the end",*["203.0.113.9,"]*3)
    go("empty hop in the middle",*["203.0.113.9, , 10.0.0.1"]*3)
    go("only an empty header",*[""]*3)
    go("no XFF",[],[],[])
    go("unknown",*["unknown"]*3)
    go("unknown by a trusted one",*["unknown, 10.0.0.1"]*3)
    go("ALB port","203.0.113.7:40001","203.0.113.7:40002")
    go("v6 port","[2001:db8::1]:443","[2001:db8::2]:444")
    go("v6 port without brackets, full",*["2001:db8:1:2:3:4:5:6:443"]*2)
    go("v6 port without brackets, short","2001:db8::1:443","2001:db8::1:50001")
    go("NAT64/SIIT","64:ff9b::203.0.113.9","64:ff9b::203.0.113.10")
    go("mapped hex","::ffff:cb00:7109","203.0.113.9")
    go("mapped upper","::FFFF:203.0.113.9","203.0.113.9")
    go("zone",*["fe80::1%4"]*2)
    go("zone+port IIS",*["[fe80::1%4]:5000"]*2)
    go("leading zeros",*["203.000.113.009"]*2)
    go("quoted",*['"203.0.113.9"']*2)
    go("port only",*[":443"]*2)
    go("many trusted hops",*["203.0.113.9"+", 10.0.0.1"*3000]*2)
    go("many client hops",*["6.6.6.6, "*3000+"203.0.113.9"]*2)
    go("hostname",*["host.example"]*2)
    go("text for a Forwarded",*["for=203.0.113.9"]*2)
    go("semicolon",*["203.0.113.9; 10.0.0.1"]*2)
    go("no-break, utf8",*["203.0.113.9\u00a0"]*2)
for go in run("fwd-no","no","forwarded"):
    go("spoof",*["for=6.6.6.1","for=6.6.6.2"],header="Forwarded")
    go("XFF spoof",*["6.6.6.1","6.6.6.2"])
for go in run("xff-no","no","x-forwarded-for",trusted=()):
    go("spoof, no trusted",*["6.6.6.1","6.6.6.2"])
    go("junk",*["junk","junk"])
    go("many lines",*[[f"{i}.1.1.1" for i in range(1,150)]]*2)
