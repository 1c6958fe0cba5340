# drain: do clients come back when they are told to?
from lab import *
with Lab('e2',page=True,settings={'drain.deadline_s':3}) as lab:
    S=[lab.session(c,m) for c in table.EXPECTED for m in ('snippets','plain')]
    for s in S: s.start()
    until(lambda: all(200 in s.statuses() for s in S),30)
    for s in S: s.log(1)
    time.sleep(2)
    for d in lab.drivers.values(): d.collect()
    lab.stack.restart('gateway',wait=True)
    t=time.time()
    while time.time()-t<22:
        time.sleep(1)
    for s in S:
        rq=s.requests; 
        if len(rq)<2: print(f'{s.client:30}{s.mode:10} never came back'); continue
        a=rq[0]; b=rq[1]
        told=getattr(a,'retry',None)
        d=(b.at-a.ended)*1000
        print(f'{s.client:30}{s.mode:10} told {told:6} came after {d:7.0f} ms, then statuses {s.statuses()} {"<<<< EARLY" if d<told-300 else ""}')
