import random, subprocess, itertools, string
from check import check
rnd=random.Random(3)
PATHS=['/p/{org}/{id}','/p/{id}/{org}','/p/{id}','/p/{org}','/p/{a}/{b}']
LIT=['','-',':','.','x','{{','}}','/','::','-:']
def tmpl(names):
    n=rnd.choice([1,1,2,2,3]); t=rnd.choice(['','k','k:'])
    for i in range(n): t+=(rnd.choice(LIT) if i else '')+'{'+rnd.choice(names)+'}'
    return t+rnd.choice(['',':e','-e','e'])
def expand(t,v):
    out='';i=0
    while i<len(t):
        if t[i:i+2] in('{{','}}'): out+=t[i]; i+=2
        elif t[i]=='{':
            j=t.index('}',i); out+=v[t[i+1:j]]; i=j+1
        else: out+=t[i]; i+=1
    return out
def vals(form,chars):
    base=['a','b','-','.','a-','-a','a-b','a.b','xa','ax','e','a-e','-e','k','x']
    if form=='int': return ['0','1','7','10','01','11']
    if form=='segment': return base+[c for c in chars]+['a'+c for c in chars]+[c+'b' for c in chars]+['a'+c+'b' for c in chars]+['a'+c+'e' for c in chars]
    return base
acc=0; V1=set(); V2=set(); n=0
import collections
for _ in range(2500):
    path=rnd.choice(PATHS); names=[s[1:-1] for s in path.split('/') if s.startswith('{')]
    key=tmpl(names); rec=tmpl(names); form=rnd.choice(['segment','segment','int']); ch=rnd.choice(['',':','/:'.replace('/','@'),'-'.replace('-','')])
    sets=['route.events.path='+path,'route.events.key='+key,'record.job.key='+rec,'route.lines.record=','route.lines.who=anyone']
    if 'id' in names:
        if form=='int': sets.append('route.events.id=int')
        elif ch: sets.append('route.events.id_chars='+ch)
    else: form='segment'; ch=''
    base=open('base.toml').read()
    # remove lines route, which shares the record
    i=base.index('[route.lines]'); j=base.index('[route.pages]')
    open('r.toml','w').write(base[:i]+base[j:])
    a=['/tmp/w/keys2/build/release/tailgate','--check','--config','r.toml']
    for s in sets[:3]+sets[5:]: a+=['--set',s]
    r=subprocess.run(a,capture_output=True,text=True,env={'PATH':'/usr/bin'}); n+=1
    if r.returncode: continue
    acc+=1
    vs={}
    for nm in names: vs[nm]=vals(form if nm=='id' else 'segment', ch if nm=='id' else '')
    bykey={}; byrec={}
    for combo in itertools.product(*[vs[nm] for nm in names]):
        v=dict(zip(names,combo)); k=expand(key,v); q=expand(rec,v)
        if bykey.setdefault(k,(q,v))[0]!=q: V1.add((path,key,rec,form,ch,str(bykey[k]),str(v)))
        if byrec.setdefault(q,(k,v))[0]!=k:
            kn={x for x in names if '{'+x+'}' in key}; rn={x for x in names if '{'+x+'}' in rec}
            V2.add((path,tuple(sorted(kn)),tuple(sorted(rn))))
print(n,'accepted',acc,'V1 (one key, two records)',len(V1),'V2 classes (one record, two keys)'); [print('  ',x) for x in list(V1)[:10]]; [print('  ',x) for x in sorted(V2)]
