# 1. The token cannot be fetched while the network is away (2.5 s).  2. a URL with a query, and a new token after a 401
from lab import *
with Lab('e5',page=True) as lab:
    C=list(table.EXPECTED)
    S=[lab.session(c,'snippets') for c in C]
    for s in S: s.start()
    until(lambda: all(200 in s.statuses() for s in S),30); time.sleep(.5)
    for s in S: s.log(1)
    time.sleep(1.5)
    good={s:s.token for s in S}
    for s in S: s.driver.set_token(s.key,'REJECT')
    for s in S: lab.rec.cut(s.path)
    t=time.time(); time.sleep(2.5)
    n={s:len(s.requests) for s in S}
    for s in S: s.driver.set_token(s.key,good[s])
    for s in S: s.log(2)
    until(lambda: [s.driver.collect() for s in S] and all(2 in s.numbers for s in S),25)
    for s in S: print('offline token:',s.client,s.numbers,'requests',len(s.requests),'during',n[s],[ (l['name'],l['data'][:60]) for l in s.shown if l['name']=='#failed'], '' if 2 in s.numbers else '<<<< NEVER CAME BACK')
    for s in S: s.worker.move('ready')
    # 2
    S=[]
    for c in C:
        s=lab.session(c,'snippets'); s.token=s.site.tokens.sign_shared(s.user,scenarios.SECRETS[0])
        s.driver.start(s.key,c.partition('@')[0],'snippets',lab.stack.base_url+s.path+'?theme=dark',s.token); S.append(s)
    until(lambda: all(200 in s.statuses() for s in S),30); time.sleep(.5)
    for s in S: s.log(1)
    time.sleep(1.5)
    lab.site.secret.write_text(scenarios.SECRETS[1]); os.kill(lab.stack.gateway_pid,1); time.sleep(1)
    for s in S: lab.rec.cut(s.path)
    for s in S: s.change_token(s.site.tokens.sign_shared(s.user,scenarios.SECRETS[1]))
    for s in S: s.log(2)
    until(lambda: [s.driver.collect() for s in S] and all(2 in s.numbers for s in S),15)
    for s in S: s.log(3)
    time.sleep(2)
    import re
    for s in S: s.driver._next_collect=0; s.driver.collect(); print('query+token:',s.client,s.numbers,[re.sub('token=[^&]*','token=..',q.target.partition('?')[2]) for q in s.requests],s.statuses(),'' if s.numbers==[1,2,3] else '<<<<')
