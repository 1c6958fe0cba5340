# "If your clients cannot be changed: on_unavailable = sse … every client that reconnects at all then comes back": plain clients, the natural end after 10-25 s
from lab import *
from support.clients import send
with Lab('e19',page=True,settings={'route.log-stream.on_unavailable':'sse'}) as lab:
    C=list(table.EXPECTED); S=[lab.session(c,'plain',cell='429') for c in C]
    others=[send(lab.stack,f'/api/jobs/{s.job}/stream',headers={'Authorization':'Bearer '+s.token},via='plain') for s in S for _ in range(2)]
    for o in others: assert o.wait_head().status==200
    for s in S: s.start()
    until(lambda: all(s.requests for s in S),20); time.sleep(2)
    for o in others: o.close()
    t=time.time()
    while time.time()-t<32: 
        for s in S: s.log(1)
        time.sleep(1)
    for s in S:
        s.driver._next_collect=0; s.driver.collect(); print(s.client,'came back' if s.numbers else '<<<< did not',s.statuses(),[l['name'] for l in s.shown][:3])
