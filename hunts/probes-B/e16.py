# A3's cure: `id: <tail>` in the first block.  Who resumes then?
import re
from lab import *
import clients.recorder as R
orig=R.Recorder._pass_answers
async def patched(self, link):
    read=link.from_gateway.read
    async def r(n):
        p=await read(n)
        if link.request.headers.get('last-event-id') is None and 'lastEventId' not in link.request.target:
            new=b'id: 0-0\nretry: 300\n\n'
            p=p.replace(b'c\r\nretry: 300\n\n\r\n',b'%x\r\n%s\r\n'%(len(new),new),1)
        return p
    link.from_gateway.read=r
    await orig(self, link)
R.Recorder._pass_answers=patched
with Lab('e16',page=True) as lab:
    C=list(table.EXPECTED)
    S=[lab.session(c,m) for c in C for m in ('snippets','plain')]
    for s in S: s.start()
    until(lambda: all(200 in s.statuses() for s in S),30); time.sleep(1)
    for s in S: lab.rec.cut(s.path)
    for s in S: s.log(1)
    until(lambda: all(len(s.requests)>1 for s in S if s.mode=='snippets'),25); time.sleep(1.5)
    for s in S: s.log(2)
    time.sleep(3)
    for s in S:
        s.driver._next_collect=0; s.driver.collect()
        print(s.client,s.mode,s.numbers,'gaps',len(s.events('gap')),[q.headers.get('last-event-id') or q.target.partition('?')[2][-20:] for q in s.requests], 'empties',len(s.empties()))
    print(b'id: 0-0' in S[0].requests[0].bytes)
