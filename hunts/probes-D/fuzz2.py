from lib import *
from support.stack import Stack
from support.clients import dial
from support.application import Application
import pathlib, shutil, time, random, socket, re
conf=open('probe.toml').read().replace('[route.hole]\npath      = "/api/orgs/{org}/jobs/{id}/log"','[route.hole]\nid_chars  = "!$&()*+,:;<=>@[]^|~"\npath      = "/api/orgs/{org}/jobs/{id}/log"')
pathlib.Path('fz.toml').write_text(conf)
if os.path.exists('/tmp/w/hunt-D/a13.sock'): os.unlink('/tmp/w/hunt-D/a13.sock')
app=Application('/tmp/w/hunt-D/a13.sock')
class D(dict):
    def get(self,k,default=None): return (200,"APP")
app.answers=D()
d=pathlib.Path('/tmp/w/hunt-D/s13'); shutil.rmtree(d,ignore_errors=True)
stack=Stack.up(d,config='/tmp/w/hunt-D/fz.toml',application=app.url)
h=next(d.rglob('http.conf')); t=h.read_text(); old="""    "~^/[A-Za-z0-9._~!$&'()*+,;=:@/-]*\\z"     $uri;"""; assert old in t; h.write_text(t.replace(old,"""    "~^/[][A-Za-z0-9._~!$&'()*+,;=:@<>^|/-]*\\z"     $uri;""")); import signal; os.kill(stack.nginx_pid,signal.SIGHUP); time.sleep(1); rnd=random.Random(int(time.time()))
EX="!$&()*+,:;<=>@[]^|~"
def enc(c,p):
    return c if rnd.random()>p else ("%%%02X"%ord(c) if rnd.random()<.5 else "%%%02x"%ord(c))
def seg(kind):
    r=rnd.random()
    if kind=='lit': s=rnd.choice(['api','orgs','jobs','log'])
    else:
        al="ab7-._"+(EX if kind=='id' else '')
        s=''.join(rnd.choice(al) for _ in range(rnd.randint(1,5)))
        if r<.08: s+=rnd.choice(['"',"'",'`','{','}','\\',' ','\x7f','\x01','?','#','%','/','é'])
        if r>.95: s=rnd.choice(['.','..','...',''])
    return s
def make():
    parts=[('lit','api'),('lit','orgs'),('o',seg('org')),('lit','jobs'),('i',seg('id')),('lit','log')]
    out=[]
    p=rnd.choice([0,0,.2,1])
    for k,s in parts:
        t=''
        for c in s:
            b=c.encode()
            if len(b)>1 or c in '"\'`{}\\ \x7f\x01?#%/': t+=''.join('%%%02X'%x for x in b)
            else: t+=enc(c,p)
        out.append(t)
    if rnd.random()<.2: out.insert(rnd.randint(0,len(out)),rnd.choice(['','.','x/..','%2e','y/%2E%2e']))
    if rnd.random()<.05: out.append('')
    return '/'+'/'.join(out)
def unq(s): return urllib.parse.unquote_to_bytes(s).decode('utf-8','surrogateescape')
def oracle(path):
    # nginx: decode, then merge
    raw=unq(path)
    st=[]
    parts=raw.split('/')[1:]
    for n,x in enumerate(parts):
        last=n==len(parts)-1
        if x=='' :
            if last: st.append('')
            continue
        if x=='.':
            if last: st.append('')
            continue
        if x=='..':
            if not st: return '400'
            st.pop()
            if last: st.append('')
            continue
        st.append(x)
    if '\0' in raw: return '400'
    if len(st)==6 and st[0]=='api' and st[1]=='orgs' and st[3]=='jobs' and st[5]=='log' and st[2] and st[4]:
        o=re.fullmatch(r'[A-Za-z0-9._-]{1,128}',st[2]) and st[2] not in('.','..')
        i=re.fullmatch(r'[A-Za-z0-9._\-'+re.escape(EX)+r']{1,128}',st[4]) and st[4] not in('.','..')
        return '401' if o and i else '404'
    return '200'
bad={}
try:
    s=None; n=0; t0=time.time()
    from collections import Counter
    C=Counter()
    while time.time()-t0<60 and n<6000:
        p=make(); n+=1
        if s is None: s=dial(stack,'plain')
        s.sendall(f"GET {p} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        buf=b''
        while b"\r\n\r\n" not in buf: 
            x=s.recv(65536)
            if not x: break
            buf+=x
        head,_,body=buf.partition(b"\r\n\r\n")
        m=re.search(rb'(?i)content-length: (\d+)',head)
        if m:
            while len(body)<int(m[1]): body+=s.recv(65536)
        st=head[9:12].decode()
        if not m or b'close' in head.lower(): s.close(); s=None
        w=oracle(p); C[(w,st)]+=1
        if w!=st: bad.setdefault((w,st),[]).append(p)
    print(n,C)
    for k,v in bad.items(): print(k,len(v)); [print('   ',x) for x in v[:12]]
finally: stack.down(); app.close()
