# two clients that are not in the matrix: undici's EventSource (Node's own) and eventsource-client
from lab import *
table.EXPECTED['undici']=('node','undici',('yes',)*9); table.EXPECTED['eventsource-client']=('node','eventsource-client',('yes',)*9)
C=['undici','eventsource-client']
with Lab('e12',modes=['extra']) as lab:
    for cell in ('resume','gap','end','401','429','token','503','drain'):
        scenarios.PATIENCE=12
        S=[]
        for c in C:
            for ch in (False,True) if cell=='end' else (False,): S.append(lab.session(c,'extra','node',channel=ch,cell=cell))
        try:
            f=scenarios.SCENARIOS[cell](S)
            for k,v in f.items(): print(k[0],k[2],v or 'yes')
        except BaseException as e: print(cell,'raised',repr(e)[:200])
        for s in S:
            if cell in('end','429','503'): print('   ',s.client,s.statuses()[:12])
