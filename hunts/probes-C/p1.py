from base import *
# Forwarded, TG_BEHIND_PROXY=yes
S=up("s1",{"limits.streams_per_address":1,"limits.address_from":"forwarded","limits.trusted_proxies":["127.0.0.0/8","10.0.0.0/8"],"route.spools.on_unavailable":"status"},nginx_settings={"TG_BEHIND_PROXY":"yes"})
try:
    def go(title, *reqs, via="plain", http="1.1"):
        held=[]; out=[]
        for lines in reqs:
            if isinstance(lines,str): lines=[lines]
            s=open_stream(S,P,headers=[("Forwarded",l) for l in lines],via=via,http=http)
            held.append(s); out.append(s.status)
        for s in held: s.close()
        time.sleep(.15)
        print(f"{title:60} {out}", flush=True)
        new=[l for l in S.logs("client.address")][go.n:]; go.n+=len(new)
        for l in new: print("      log:", l["why"], l["held_back"])
        time.sleep(1.1 if new else 0)
    go.n=0
    go("control: same client twice","for=203.0.113.9","for=203.0.113.9")
    go("control: other clients","for=203.0.113.9","for=203.0.113.8")
    go("control: client's own hop in front, one line","for=6.6.6.1, for=203.0.113.9","for=6.6.6.2, for=203.0.113.9")
    go("LB adds a LINE (two lines)",["for=6.6.6.1","for=203.0.113.9"],["for=6.6.6.2","for=203.0.113.9"],["for=6.6.6.3","for=203.0.113.9"])
    go("LB adds a LINE, h2",["for=6.6.6.1","for=203.0.113.9"],["for=6.6.6.2","for=203.0.113.9"],via="tls",http="2")
    go("unbalanced quote, LB appends",*['for="x, for=203.0.113.9']*3)
    go("unbalanced quote; arbitrary address",*[f'for=6.6.6.{i};x=", for=203.0.113.9' for i in range(3)])
    go("unbalanced quote; a VICTIM's address is taken",'for=198.51.100.77;x=", for=203.0.113.9','for=198.51.100.77')
    go("same, v6 LB hop",*[f'for=6.6.6.{i};x=", for="[2001:db8::9]"' for i in range(3)])
    go("backslash at the end of the client's part",*[f'for=6.6.6.{i};x="\\, for=203.0.113.9' for i in range(3)])
    go("LB element without for=",*[f'for=6.6.6.{i}, by=10.0.0.5;proto=https' for i in range(3)])
    go("LB element 'for =' with a space",*[f'for=6.6.6.{i}, for =203.0.113.9' for i in range(3)])
    go("no Forwarded at all (LB writes only XFF)",[],[],[])
    go("empty element",*["for=203.0.113.9, , "]*2)
    go("obfuscated port",*['for="203.0.113.9:_p1"']*2)
    go("quoted-pair in the address",*['for="203.0.113\\.9"']*2)
    go("unknown",*["for=unknown"]*3)
    go("_hidden",*["for=_hidden"]*3)
    go("uppercase FOR, port",'FOR="203.0.113.9:1"','For=203.0.113.9:2')
    go("extension first",'secret=abc;for=203.0.113.9','ext="a;b,c";for=203.0.113.9')
    go("tabs",'for=203.0.113.9\t;\tproto=http','for=203.0.113.9')
    go("NAT64",'for="[64:ff9b::203.0.113.9]"','for="[64:ff9b::203.0.113.10]"')
    go("zone",*['for="[fe80::1%eth0]"']*2)
    go("2 for in one element",'for=6.6.6.1;for=203.0.113.9','for=6.6.6.2;for=203.0.113.9')
finally:
    S.down()
