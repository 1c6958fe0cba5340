from base import *
S=up("s11",{"limits.streams_per_address":1,"limits.address_from":"forwarded","limits.trusted_proxies":["127.0.0.0/8","10.0.0.0/8"],"route.spools.on_unavailable":"status"},nginx_settings={"TG_BEHIND_PROXY":"yes"})
held=[]
def go(title,*reqs):
    out=[]
    for lines in reqs:
        s=open_stream(S,P,headers=[("Forwarded",l) for l in lines],via="plain"); held.append(s); out.append(s.status)
    print(title,out); [h.close() for h in held]; held.clear(); time.sleep(.2)
try:
    go("HAProxy: client's header invalid, HAProxy adds a line",*[[f"for=6.6.6.{i};x y","proto=http;for=203.0.113.9"] for i in range(3)])
    go("HAProxy `option forwarded proto` (no for)",*[[f"for=6.6.6.{i}, proto=https"] for i in range(3)])
    go("HAProxy: valid client header, appended",*[[f"for=6.6.6.{i},proto=http;for=203.0.113.9"] for i in range(3)])
    go("client's line empty, proxy adds a line",*[["","for=203.0.113.9"]]*2)
finally: S.down()
