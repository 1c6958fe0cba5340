# A page that was reloaded passes the stored id in the header; the library adds its own after a lost connection.
from lab import *
with Lab('e3',page=True,modes=['joined']) as lab:
    S=[]
    for c in ('fetch-event-source','sse.js','react-native-sse','extended-eventsource'):
        s=lab.session(c,'joined','page'); s.stored=s.log(1); s.log(2); 
        s.driver.start(s.key,c,'joined',lab.stack.base_url+s.path+'?stored='+s.stored,s.token); S.append(s)
    until(lambda: all(200 in s.statuses() for s in S),20)
    time.sleep(1)
    for s in S: s.log(3)
    time.sleep(1)
    for s in S: lab.rec.cut(s.path)
    for s in S: s.log(4); s.log(5)          # while the connection is lost
    until(lambda: all(len(s.requests)>1 for s in S),10); time.sleep(1)
    for s in S: s.log(6)
    time.sleep(2)
    for s in S:
        s.driver._next_collect=0; s.driver.collect()
        print(s.client, 'numbers', s.numbers, 'gaps', len(s.events('gap')), [q.headers.get('last-event-id') for q in s.requests], s.statuses())
    # the end on a channel and on a log: do they stop?
    S=[]
    for c in ('fetch-event-source','sse.js','react-native-sse','extended-eventsource'):
      for ch in (False,True):
        s=lab.session(c,'joined','page',channel=ch); s.stored=s.log(1)
        s.driver.start(s.key,c,'joined',lab.stack.base_url+s.path+'?stored='+s.stored,s.token); S.append(s)
    until(lambda: all(200 in s.statuses() for s in S),20)
    for s in S: s.log(2); s.worker.move('ready','Done')
    time.sleep(12)
    for s in S:
        print(s.client,'channel' if 'logs' not in s.path else 'log','requests',len(s.requests),s.statuses(),[q.headers.get('last-event-id') for q in s.requests][:4])
