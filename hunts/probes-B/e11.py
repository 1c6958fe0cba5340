# 1. retry: in the block of the first event: who gains, who breaks?   2. polyfill with a stored id among its headers
import sys
from lab import *
import clients.recorder as R
src=open(R.__file__).read()
MODE={'join':False}
orig=R.Recorder._pass_answers
async def patched(self, link):
    # rewrites the first `retry: N\n\n` of a 200 stream
    read=link.from_gateway.read
    done=[False]
    async def r(n):
        p=await read(n)
        if MODE['join'] and not done[0] and b'retry: 300\n\n' in p:
            done[0]=True
            # chunked: replace the byte count is hard; keep the length: a comment line instead of the blank line
            p=p.replace(b'retry: 300\n\n',b'retry: 0300\n',1)
        return p
    link.from_gateway.read=r
    await orig(self, link)
R.Recorder._pass_answers=patched
with Lab('e11',page=True,modes=['stale']) as lab:
    MODE['join']=True
    C=list(table.EXPECTED)
    S=[lab.session(c,m,cell='resume') for c in C for m in ('plain','snippets')]
    f=scenarios.SCENARIOS['resume'](S)
    MODE['join']=False
    for c in C:
        print(f'{c:28} first plain: {f[c,"plain","first"] or "yes":30} (was {table.expected(c,"first")})  snippets: {f[c,"snippets","first"] or "yes"};  resume plain {str(f[c,"plain","resume"] or "yes")[:40]} (was {table.expected(c,"resume")}), snippets {f[c,"snippets","resume"] or "yes"}')
    print([s.requests[0].bytes[:200] for s in S[:1]])
    s=lab.session('event-source-polyfill','stale','page'); a=s.log(1); s.log(2)
    s.driver.start(s.key,'event-source-polyfill','stale',lab.stack.base_url+s.path+'?stored='+a,s.token)
    until(lambda: 200 in s.statuses(),10); time.sleep(1); s.log(3); time.sleep(.5)
    for n in (4,5):
        lab.rec.cut(s.path); time.sleep(.1); s.log(n); time.sleep(2.5)
    s.driver._next_collect=0; s.driver.collect(); print('stale header + ?lastEventId=:',s.numbers,[(q.headers.get('last-event-id'),q.target.partition('?')[2][-40:]) for q in s.requests])
