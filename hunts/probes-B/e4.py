# 1. the connection is lost before the first line.  2. comments as heartbeats on R2.  3. a URL that has a query already.  4. resync
from lab import *
with Lab('e4',page=True,settings={'route.status.heartbeat':'{ every_s = 1, comment = "heartbeat" }'}) as lab:
    C=list(table.EXPECTED)
    S=[lab.session(c,'snippets') for c in C]
    for s in S: s.start()
    until(lambda: all(200 in s.statuses() for s in S),30); time.sleep(1)
    for s in S: lab.rec.cut(s.path)
    for s in S: s.log(1)
    until(lambda: all(len(s.requests)>1 for s in S),15); time.sleep(1.5)
    for s in S: s.log(2)
    time.sleep(2)
    for s in S:
        s.driver._next_collect=0; s.driver.collect()
        print('before the first line:',s.client,s.numbers,'gaps',len(s.events('gap')))
    for s in S: s.worker.move('ready')
    time.sleep(1)
    # 2
    S=[lab.session(c,'snippets',channel=True) for c in C]
    for s in S: s.start()
    until(lambda: all(200 in s.statuses() for s in S),30); time.sleep(4)
    for s in S: s.driver._next_collect=0; s.driver.collect(); print('comments:',s.client,[ (l['name'],l['data'][:40]) for l in s.shown],'requests',len(s.requests))
    # resync: kill the subscriber connection
    r=lab.stack.redis
    for c in r.client_list():
        if int(c['sub'])>0 or int(c['psub'])>0: r.client_kill(c['addr'])
    time.sleep(4)
    for s in S:
        s.driver._next_collect=0; s.driver.collect(); print('resync:',s.client,[ (l['name'],l['data'][:40]) for l in s.shown], 'on the wire:', b'event: resync' in s.requests[0].bytes)
    for s in S: s.worker.move('ready')
    # 3
    S=[]
    for c in C:
        s=lab.session(c,'snippets'); s.q=True
        name=c.partition('@')[0]
        s.driver.start(s.key,name,'snippets',lab.stack.base_url+s.path+'?theme=dark',s.token); S.append(s)
    until(lambda: all(200 in s.statuses() for s in S),30); time.sleep(.5)
    for s in S: s.log(1)
    time.sleep(1)
    # make the library create a new instance: 429/503 by a stopped redis is slow; use a 401 by... cut, then refuse once
    for s in S: lab.rec.cut(s.path)
    for s in S: s.log(2)
    until(lambda: all(len(s.requests)>1 for s in S),15); time.sleep(2)
    for s in S:
        s.driver._next_collect=0; s.driver.collect(); print('query:',s.client,s.numbers,[q.target.partition('?')[2] for q in s.requests])
