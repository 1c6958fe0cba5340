# 1. R6 with the page's lines: is the end noticed?  2. hidden pages.  3. no async iterator (Safari).  4. ids that are not Latin-1 (R5).
from lab import *
from support.publishers import Blog, Spools
with Lab('e6',page=True,settings={'route.spools.retry_ms':300}) as lab:
    r=lab.stack.redis; C=list(table.EXPECTED); T=lab.site.tokens
    rt=json.loads(subprocess.run(['/tmp/w/hunt-B/tree/build/release/tailgate','--version'],capture_output=True,text=True).stdout or '{}') if 0 else None
    class R:  # a plain session on any path
        def __init__(s,client,path,token,mode='snippets'):
            s.client,s.path=client,path; s.driver=lab.drivers[table.EXPECTED[client][0]]; s.key=f'{client}-{os.urandom(4).hex()}'
            s.driver.start(s.key,client.partition('@')[0],mode,lab.stack.base_url+path,token)
        @property
        def shown(s): return s.driver.shown[s.key]
        @property
        def requests(s): return lab.rec.requests(s.path)
    S=[]
    for i,c in enumerate(C):
        Blog(r,f'r6-{i}',f'u{i}').create('running'); S.append(R(c,f'/api/v1/jobs/r6-{i}/stream',T.sign_shared(f'u{i}',scenarios.SECRETS[0])))
    until(lambda: all(200 in [q.status for q in s.requests] for s in S),30); time.sleep(.5)
    for i,c in enumerate(C):
        r.hset(f'jobs:r6-{i}','status','succeeded'); r.publish(f'jobs:r6-{i}:events',json.dumps({'event':'progress-update','data':{'progress':50}})); r.publish(f'jobs:r6-{i}:events',json.dumps({'event':'complete','data':{'result':1}}))
    time.sleep(25)
    for s in S: s.driver._next_collect=0; s.driver.collect(); print('R6:',s.client,[q.status for q in s.requests],[q.headers.get('last-event-id') or q.target.partition('?')[2][-25:] for q in s.requests][-3:],[l['name'] for l in s.shown])
    # 4
    sp=Spools(r)
    # every client shares this path, so ask one by one
    for c in ('native','event-source-polyfill','event-source-polyfill@node','fetch-event-source','eventsource2','eventsource3','eventsource4','eventsource5','sse.js','extended-eventsource','react-native-sse'):
      for mode in ('plain','snippets'):
        n=len(lab.rec.requests('/api/sse/stream'))
        s=R(c,'/api/sse/stream','x',mode)
        until(lambda: len(lab.rec.requests('/api/sse/stream'))>n,10); time.sleep(.4)
        sp.update(timestamp='10:30 – lunes 日'); time.sleep(.5)
        lab.rec.cut('/api/sse/stream'); 
        until(lambda: len(lab.rec.requests('/api/sse/stream'))>n+1,7)
        q=lab.rec.requests('/api/sse/stream')[n:]
        print('R5 id:',c,mode,'requests',len(q),[ (x.headers.get('last-event-id'), x.target[15:]) for x in q][:3],'' if len(q)>1 else '<<<< NEVER CAME BACK')
        # end this client: a page and a process cannot; make the server refuse
        lab.rec.cut('/api/sse/stream')
        if s.driver is lab.drivers['page']:
            lab.drivers['page']._page.run('location.reload()'); time.sleep(1.0); lab.drivers['page']._page.run("new Promise(done => { const wait = () => window.drive ? done() : setTimeout(wait, 10); wait(); })")
        else:
            s.driver.close(); lab.drivers['node']=node_driver(lab.folder,lab.work,lab.stack.ca_file); lab.ends.callback(lab.drivers['node'].close)
        time.sleep(.6)
