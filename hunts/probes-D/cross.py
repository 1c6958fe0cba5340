# Which pairs of routes can reach one key?  python3.11 cross.py FILE...
import sys, re, string
try: import tomllib
except ImportError: sys.exit("python3.11 needed")
AL=set(string.ascii_letters+string.digits)
def pieces(t):
    out=[];i=0;lit=''
    while i<len(t):
        if t[i:i+2] in('{{','}}'): lit+=t[i]; i+=2
        elif t[i]=='{':
            j=t.index('}',i)
            if lit: out.append(('L',lit)); lit=''
            out.append(('N',t[i+1:j])); i=j+1
        else: lit+=t[i]; i+=1
    if lit: out.append(('L',lit))
    return out
def toks(t,route):
    s=[]
    for k,v in pieces(t):
        if k=='L': s+= [('1',frozenset(c)) for c in v]
        else:
            h=AL|set('-._')
            if v=='id':
                f=route.get('id','segment')
                h= set('0123456789') if f=='int' else set('0123456789abcdefABCDEF-') if f=='uuid' else h|set(route.get('id_chars',''))
            s+= [('1',frozenset(h)),('*',frozenset(h))]
    return s
def meet(a,b):
    # BFS over (i,j); returns a witness
    from collections import deque
    def close(seq,i):
        r=[i]
        while i<len(seq) and seq[i][0]=='*': i+=1; r.append(i)
        return r
    start=(0,0); q=deque([start]); back={start:None}
    while q:
        i,j=q.popleft()
        for ii in close(a,i):
            for jj in close(b,j):
                if ii==len(a) and jj==len(b):
                    w='';n=(i,j)
                    while back[n]: n,c=back[n]; w=c+w
                    return w
                if ii<len(a) and jj<len(b):
                    m=a[ii][1]&b[jj][1]
                    if m:
                        c='7' if '7' in m else min(m)
                        n=(ii if a[ii][0]=='*' else ii+1, jj if b[jj][0]=='*' else jj+1)
                        if n not in back: back[n]=((i,j),c); q.append(n)
    return None
for f in sys.argv[1:]:
    R=tomllib.load(open(f,'rb')).get('route',{})
    L=[(n,r) for n,r in R.items() if 'key' in r]
    for x in range(len(L)):
        for y in range(x+1,len(L)):
            (n,r),(m,s)=L[x],L[y]
            if (r.get('source')=='channel')!=(s.get('source')=='channel'): continue
            if pieces(r['key'])==pieces(s['key']): continue
            w=meet(toks(r['key'],r),toks(s['key'],s))
            if w: print(f,n,r['key'],m,s['key'],'both reach',repr(w))
