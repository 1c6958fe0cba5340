# the id: line at the end of a log's event: what is lost by a cut in the middle of the data?  and: stale header with the polyfill
import sys, re
from lab import *
import clients.recorder as R
MODE={'last':False}
orig=R.Recorder._pass_answers
async def patched(self, link):
    read=link.from_gateway.read
    async def r(n):
        p=await read(n)
        if MODE['last']: p=re.sub(rb'(id: [0-9-]+\n)(event: log\n)(data: [^\n]*\n)\n',rb'\2\3\1\n',p)
        return p
    link.from_gateway.read=r
    await orig(self, link)
R.Recorder._pass_answers=patched
with Lab('e13',page=True,modes=['stale']) as lab:
    s=lab.session('event-source-polyfill','stale','page'); a=s.log(1); s.log(2)
    s.driver.start(s.key,'event-source-polyfill','stale',lab.stack.base_url+s.path+'?stored='+a,s.token)
    until(lambda: 200 in s.statuses(),10); time.sleep(1); s.log(3); time.sleep(.5)
    for n in (4,5):
        lab.rec.cut(s.path); time.sleep(.1); s.log(n); time.sleep(4)
    s.driver._next_collect=0; s.driver.collect(); print('stale header + ?lastEventId=:',s.numbers,[(q.headers.get('last-event-id'),q.target.partition('?')[2][-40:]) for q in s.requests])
    for last in (False,True):
        MODE['last']=last
        C=('fetch-event-source','eventsource2','extended-eventsource','native','event-source-polyfill','eventsource5')
        S=[lab.session(c,'plain') for c in C]
        for s in S: s.start()
        until(lambda: all(200 in s.statuses() for s in S),20); time.sleep(.5)
        for s in S: s.log(1)
        time.sleep(1)
        for s in S:
            lab.rec.cut_after(s.path,b'"text":"line 2'); s.log(2); s.log(3)
        time.sleep(9)
        for s in S: s.driver._next_collect=0; s.driver.collect(); print('id last' if last else 'id first',s.client,s.numbers,s.statuses(),[q.headers.get('last-event-id') or q.target[-20:] for q in s.requests], [l['name'] for l in s.shown])
