# brute force: templates over small alphabet; compare joined_names with real ambiguity
import itertools
def joined(pieces, hold):
    fl=fr=None; before=None; between=''
    for kind,t in pieces:
        if kind=='L': between=t; continue
        if before is not None and before!=t:
            if all(c in hold[before] for c in between): fl=fl or (before,t)
            if all(c in hold[t] for c in between): fr=fr or (before,t)
        before=t; between=''
    return fl if (fl and fr) else None
def norm(seq):
    out=[]
    for k,t in seq:
        if k=='L' and out and out[-1][0]=='L': out[-1]=('L',out[-1][1]+t)
        elif k=='L' and not t: continue
        else: out.append((k,t))
    return out
import sys
holds=[{'a':'x-','b':'x-'},{'a':'x-','b':'x-:'},{'a':'x-:','b':'x-'},{'a':'x','b':'-'},{'a':'x:','b':'-:'}]
def vals(chars,n):
    for l in range(1,n+1):
        yield from map(''.join,itertools.product(chars,repeat=l))
bad=over=ok=ref=0; O={}; EX=[]
lits=['','-',':','x','-:',':-']
atoms=[('N','a'),('N','b')]
for names in itertools.chain.from_iterable(itertools.product('ab',repeat=r) for r in (2,3,4)):
    if len(set(names))<2: continue
    for ls in itertools.product(lits if len(names)<4 else ['','-',':'],repeat=len(names)-1):
        seq=[]
        for i,n in enumerate(names):
            seq.append(('N',n))
            if i<len(ls): seq.append(('L',ls[i]))
        seq=norm(seq)
        for h in holds:
            j=joined(seq,h)
            seen={};amb=None
            for va in vals(h['a'],3):
                for vb in vals(h['b'],3):
                    s=''.join(t if k=='L' else (va if t=='a' else vb) for k,t in seq)
                    if s in seen and seen[s]!=(va,vb): amb=(s,seen[s],(va,vb)); break
                    seen[s]=(va,vb)
                if amb: break
            if amb and not j: bad+=1; print('MISSED',seq,h,amb)
            elif j and not amb:
                over+=1
                k='twice' if sum(1 for a,b in seq if a=='N')>2 else 'once'
                O[k]=O.get(k,0)+1
                if k=='once': EX.append((seq,h))
            elif j: ref+=1
            else: ok+=1
print(bad,over,ref,ok)
print(O); [print(e) for e in EX[:20]]
