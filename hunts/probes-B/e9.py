# Does the column 401 notice lines that lack the stop?  (the real scenario, with mutants beside the real clients)
from lab import *
with Lab('e9',page=True,modes=['mut']) as lab:
    C=list(table.EXPECTED); mut=['native','event-source-polyfill','event-source-polyfill@node','fetch-event-source','eventsource2','sse.js','react-native-sse','eventsource-parser','azure-core-sse','python-httpx','curl']
    S=[lab.session(c,m,cell='401') for c in C for m in ('plain','snippets')]+[lab.session(c,'mut',cell='401') for c in mut]
    t=time.time(); f=scenarios.SCENARIOS['401'](S); print('took',time.time()-t)
    for s in S:
        if s.mode=='mut': print(s.client,'MUTANT:',f[s.client,'mut','401'] or '<<<< green', [round(q.at-s.requests[0].at,1) for q in s.requests][:6])
    n={s:len(s.requests) for s in S}; time.sleep(12)
    for s in S:
        if s.mode=='snippets' and len(s.requests)>n[s]: print('later',s.client,len(s.requests))
