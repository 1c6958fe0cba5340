# the token expires while the stream is open (at_expiry = "end"); the client could have a newer one
from lab import *
from support.publishers import Blog
with Lab('e20',page=True,settings={'provider.clerk.at_expiry':'end','provider.clerk.leeway_s':0}) as lab:
    C=list(table.EXPECTED); S=[lab.session(c,'snippets') for c in C]
    for s in S: s.token=lab.site.tokens.sign(s.user,12)
    for s in S: s.start()
    until(lambda: all(200 in s.statuses() for s in S),9); time.sleep(.3)
    for s in S: s.log(1)
    time.sleep(2)
    for s in S: s.change_token(lab.site.tokens.sign(s.user))
    time.sleep(10)
    for s in S: s.log(2)
    until(lambda: [s.driver.collect() for s in S] and all(2 in s.numbers for s in S),20); time.sleep(1)
    for s in S: s.driver._next_collect=0; s.driver.collect(); print('expiry:',s.client,s.numbers,s.statuses(),[l['name'] for l in s.shown if l['name'] not in('log','heartbeat')], b'auth-expired' in s.requests[0].bytes,'' if s.numbers==[1,2] else '<<<<')
    r=lab.stack.redis; Blog(r,'b1','u').create('succeeded'); t=lab.site.tokens.sign_shared('u',scenarios.SECRETS[0])
    for q,h in (('lastEventId=end',()),('last_event_id=0-0&lastEventId=end',()),('q=100%&lastEventId=end',()),('',('Last-Event-ID: end',)),('',('Last-Event-ID: 5-1, end',)),('Last-Event-ID=end',())):
        cmd=['curl','-skN','-m','3','-o','/dev/null','-w','%{http_code}','-H','Authorization: Bearer '+t]
        for x in h: cmd+=['-H',x]
        print('R6',q,h,subprocess.run(cmd+[lab.stack.base_url+'/api/v1/jobs/b1/stream?'+q],capture_output=True,text=True).stdout)
