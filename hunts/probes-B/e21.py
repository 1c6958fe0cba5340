from lab import *
with Lab('e21',page=True) as lab:
    C=list(table.EXPECTED)
    # a job that is gone: the record is deleted while the stream is open
    S=[lab.session(c,'snippets') for c in C]
    for s in S: s.start()
    until(lambda: all(200 in s.statuses() for s in S),20); time.sleep(.5)
    for s in S: lab.stack.redis.delete(s.worker.key)
    # token() fails in follow() after a 401
    T=[lab.session(c,'snippets') for c in ('native','event-source-polyfill','event-source-polyfill@node')]
    for s in T: s.token=lab.site.tokens.sign_shared(s.user,scenarios.SECRETS[0]); s.start()
    until(lambda: all(200 in s.statuses() for s in T),20)
    for s in T: s.log(1)
    time.sleep(1)
    lab.site.secret.write_text(scenarios.SECRETS[1]); os.kill(lab.stack.gateway_pid,1); time.sleep(1)
    for s in T: s.driver.set_token(s.key,'REJECT'); lab.rec.cut(s.path)
    time.sleep(6)
    for s in T: s.change_token(s.site.tokens.sign_shared(s.user,scenarios.SECRETS[1])); s.log(2)
    time.sleep(25)
    for s in T: s.driver._next_collect=0; s.driver.collect(); print('offline after 401:',s.client,s.numbers,s.statuses())
    for s in S: s.driver._next_collect=0; print('record gone:',s.client,s.statuses(), b'id: end' in s.requests[0].bytes)
