"""A model of the proposed right-to-left parser, and a randomised test of it."""
import random, ipaddress, itertools
def last_unquoted(t, sep):
    q=False; at=len(t)
    while at>0:
        at-=1
        if t[at]=='"':
            s=0
            while s<at and t[at-s-1]=='\\': s+=1
            if not q or s%2==0: q=not q
        elif not q and t[at]==sep: return at
    return -1
def split_right(t,sep):
    out=[]
    while True:
        i=last_unquoted(t,sep); out.append(t[i+1:].strip(" \t")); 
        if i<0: return out
        t=t[:i]
def hop_of(element):
    fors=[p[4:] for p in split_right(element,';') if p[:4].lower()=="for="]
    if len(fors)!=1: return None
    h=fors[0]
    if len(h)>=2 and h[0]=='"' and h[-1]=='"': h=h[1:-1]
    return h
def addr(h):
    if h.startswith("["): h=h[1:].partition("]")[0]
    elif h.count(":")==1: h=h.partition(":")[0]
    try: return ipaddress.ip_address(h)
    except ValueError: return None
TRUST=[ipaddress.ip_network("10.0.0.0/8"),ipaddress.ip_network("fd00::/8")]
def client(value):
    best=""
    for e in split_right(value,','):
        if not e: continue
        h=hop_of(e)
        if h is None: return "error"
        a=addr(h)
        if a is None: return "error"
        best=str(a)
        if not any(a in n for n in TRUST if a.version==n.version): break
    return best
ALPH=['"','\\',',',';','for=','6.6.6.6',' ','x','=','[',']','for="','"',', ','10.0.0.9']
ELEMS=['for={}','for="{}";proto=https','proto=https;for={}','FOR="{}:443"','by="[2001:db8::1]:8";for="{}"','host="a,b;for=9.9.9.9";for={}']
random.seed(7)
bad=0
for n in range(300000):
    junk="".join(random.choice(ALPH) for _ in range(random.randrange(0,14)))
    real=f"203.0.113.{random.randrange(1,255)}"
    hops=[random.choice(ELEMS).format(real)]+[random.choice(ELEMS).format(f"10.0.0.{random.randrange(1,255)}") for _ in range(random.randrange(0,3))]
    v=", ".join(([junk] if junk else [])+hops)
    if client(v)!=real:
        bad+=1
        if bad<5: print(repr(v),client(v),real)
print("wrong:",bad)
for v in ('for=192.0.2.43, for=198.51.100.17;by=203.0.113.60;proto=http;host=example.com','for=192.0.2.43;host="a,b;for=6.6.6.6", proto=https;for=10.1.1.1','host="a\\",b";for=192.0.2.43','proto=https','for=192.0.2.43, for=unknown','For="[2001:db8:cafe::17]:4711"','for=6.6.6.1, by=10.0.0.5;proto=https','for=6.6.6.1, for =203.0.113.9','','for=203.0.113.9, , ',''): print(repr(v),'->',client(v))
