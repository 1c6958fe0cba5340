from lab import *
from support.publishers import Spools
with Lab('e10',page=True) as lab:
    st=lab.stack
    # 1 polyfill in Chromium, a URL that already has last_event_id, channel and log, plain and snippets
    S=[]
    for mode in ('plain','snippets'):
        for ch in (True,False):
            for q in ('?last_event_id=0-0','?q=100%',''):
                s=lab.session('event-source-polyfill',mode,channel=ch); s.q=q
                if mode=='snippets' and q: continue
                s.driver.start(s.key,'event-source-polyfill',mode,st.base_url+s.path+q,s.token); S.append(s)
    time.sleep(3)
    for s in S: s.log(1); s.worker.move('ready','Done')
    time.sleep(12)
    for s in S: s.driver._next_collect=0; s.driver.collect(); print('polyfill',s.mode,'log' if 'logs' in s.path else 'channel',repr(s.q),s.statuses(),[q.target.partition('?')[2] for q in s.requests][-1:],[l['name'] for l in s.shown][-8:])
    # 2 R5 ids that look like the end
    sub=subprocess.Popen(['curl','-skN','-m','3',st.base_url+'/api/sse/stream'],stdout=subprocess.PIPE,text=True); time.sleep(1)
    Spools(st.redis).update(timestamp='end'); Spools(st.redis).update(timestamp='end.5-1'); Spools(st.redis).update(timestamp='a')
    print(sub.communicate()[0])
