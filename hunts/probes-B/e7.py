# hidden pages, Safari, statuses that only a load balancer gives, a `show` that throws
from lab import *
with Lab('e7',page=True,settings={'route.log-stream.retry_ms':2000}) as lab:
    page=lab.drivers['page']; run=page._page.run
    run("window.h=false; Object.defineProperty(document,'hidden',{get:()=>window.h}); Object.defineProperty(document,'visibilityState',{get:()=>window.h?'hidden':'visible'}); window.setHidden=(v)=>{window.h=v;document.dispatchEvent(new Event('visibilitychange'))}; 1")
    def drv(): page._next_collect=0; page.collect()
    # 1 fetch-event-source hidden and shown
    for mode in ('plain','snippets'):
        s=lab.session('fetch-event-source',mode); s.start(); until(lambda: 200 in s.statuses(),10); time.sleep(.3)
        s.log(1); time.sleep(.4); run('setHidden(true)'); time.sleep(.5); s.log(2); time.sleep(1); drv(); a=list(s.numbers); run('setHidden(false)'); time.sleep(1); s.log(3); time.sleep(.6); drv()
        print('hidden:',mode,'while hidden',a,'after',s.numbers,'requests',len(s.requests),[q.headers.get('last-event-id') for q in s.requests])
        # hidden and shown while it waits for its retry
        lab.rec.cut(s.path); time.sleep(.5); run('setHidden(true)'); time.sleep(.2); run('setHidden(false)'); time.sleep(3.5); s.log(4); time.sleep(.7); drv()
        print('hidden while waiting:',mode,s.numbers,'requests',len(s.requests))
        # hidden before the first line
        s=lab.session('fetch-event-source',mode); s.start(); until(lambda: 200 in s.statuses(),10); time.sleep(.3)
        run('setHidden(true)'); time.sleep(.3); s.log(1); time.sleep(.3); run('setHidden(false)'); time.sleep(1); s.log(2); time.sleep(.5); drv()
        print('hidden before the first line:',mode,s.numbers,'gaps',len(s.events('gap')))
        run('setHidden(false)')
    # 2 Safari: no async iterator of ReadableStream
    run("delete ReadableStream.prototype[Symbol.asyncIterator]; delete ReadableStream.prototype.values; 1")
    for c in ('eventsource-parser','azure-core-sse','fetch-event-source','eventsource5','extended-eventsource'):
        s=lab.session(c,'snippets'); s.start(); until(lambda: 200 in s.statuses(),10); time.sleep(.5); s.log(1); time.sleep(8); drv()
        print('no async iterator:',c,s.numbers,'requests',len(s.requests),s.statuses())
