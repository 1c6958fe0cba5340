# how long until a page notices that its stream was cut in the middle of an event?
from lab import *
with Lab('e14',page=True) as lab:
    for rnd in range(3):
        C=('native','event-source-polyfill','fetch-event-source','eventsource5','sse.js')
        S=[lab.session(c,'snippets') for c in C]
        for s in S: s.start()
        until(lambda: all(200 in s.statuses() for s in S),20); time.sleep(.5)
        for s in S: s.log(1)
        time.sleep(1)
        t0=time.time()
        for s in S: 
            lab.rec.cut_after(s.path,b'"text":"line 2'); s.log(2); s.log(3)
        until(lambda: all(len(s.requests)>1 for s in S),40)
        print('cut in the middle of an event, round',rnd,[(s.client,round(s.requests[1].at-t0,1) if len(s.requests)>1 else 'never', s.requests[0].ended-t0) for s in S])
        t0=time.time(); n={s:len(s.requests) for s in S}
        for s in S: lab.rec.cut(s.path)
        until(lambda: all(len(s.requests)>n[s] for s in S),40)
        print('cut while idle',rnd,[(s.client,round(s.requests[n[s]].at-t0,1) if len(s.requests)>n[s] else 'never') for s in S])
    import glob
    print(os.popen(f'tail -5 {lab.work}/s/nginx/*error*.log {lab.work}/s/logs/*error* 2>/dev/null').read()[-1500:])
    print(os.popen(f'ls -R {lab.work}/s | head -40').read())
