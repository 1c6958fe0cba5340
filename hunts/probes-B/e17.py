# Mutants of the page's lines in the real scenarios: drain, 429, end
from lab import *
with Lab('e17',page=True,modes=['mut2']) as lab:
    P=scenarios.PATIENCE; 
    S=[lab.session(c,'mut2',cell='drain') for c in ('eventsource-parser','python-httpx')]
    for k,v in scenarios.SCENARIOS['drain'](S).items(): print('drain, ignores retry:',k[0],v or '<<<< green')
    S=[lab.session(c,'mut2',cell='429') for c in ('eventsource-parser','python-httpx')]+[lab.session(c,m,cell='429') for c in ('native','sse.js','react-native-sse') for m in ('snippets',)]
    f=scenarios.SCENARIOS['429'](S)
    for s in S[:2]: print('429, asks every 0.1 s:',s.client,f[s.client,'mut2','429'] or '<<<< green',len(s.requests))
    S=[lab.session(c,'mut2',channel=ch,cell='end') for c in ('fetch-event-source','sse.js','eventsource5') for ch in (False,True)]
    f=scenarios.SCENARIOS['end'](S)
    for k,v in f.items(): print('end, does not close:',k[0],v or 'green')
    for s in S: print('   ',s.client,s.statuses()[:6],len(s.requests))
