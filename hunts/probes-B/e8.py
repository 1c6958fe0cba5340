# statuses of a load balancer; Retry-After; a `show` that throws
from lab import *
with Lab('e8',page=True) as lab:
    C=list(table.EXPECTED)
    log={}
    def serve(path,status,headers=None):
        log[path]=[]
        def answer(h):
            log[path].append(time.time())
            if len(log[path])==1: return (status,'{}',headers or {})
            return (200,'retry: 300\n\nid: 5-1\nevent: log\ndata: {"text":"line 1"}\n\nevent: done\ndata: {}\nid: end.5-1\n\n',{'Content-Type':'text/event-stream'})
        lab.app.answers[path]=answer
    S=[]
    for i,c in enumerate(C):
        for status,h in ((500,None),(502,None),(504,None),(404,None),(429,{'Retry-After':'8'}),(503,{'Retry-After':'8'}),(408,None)):
            p=f'/fake/{i}/{status}'; serve(p,status,h)
            d=lab.drivers[table.EXPECTED[c][0]]; k=f'{i}-{status}'
            d.start(k,c.partition('@')[0],'snippets',lab.stack.base_url+p,'t'); S.append((c,status,p))
    time.sleep(22)
    for c in C:
        print(f'{c:28}',' '.join(f"{status}:{'+%.1fs'%(log[p][1]-log[p][0]) if len(log[p])>1 else 'dead' if log[p] else 'none'}" for cc,status,p in S if cc==c))
