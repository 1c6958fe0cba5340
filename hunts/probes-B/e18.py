from lab import *
with Lab('e18',page=True) as lab:
    C=list(table.EXPECTED)
    S=[lab.session(c,m,cell='resume') for c in C for m in ('plain','snippets')]
    t=time.time(); f=scenarios.SCENARIOS['resume'](S); print('took',round(time.time()-t))
    for c in C: print(f'{c:28} plain {str(f[c,"plain","resume"] or "yes")[:60]} (table: {table.expected(c,"resume")})  snippets {str(f[c,"snippets","resume"] or "yes")[:70]}')
    for s in S:
        if f[s.client,s.mode,'resume'] and s.mode=='snippets': print(s)
