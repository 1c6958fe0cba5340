from lab import *
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
def signer(kid):
    k=rsa.generate_private_key(public_exponent=65537,key_size=2048); j=json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(k.public_key())); j.update(kid=kid,use="sig",alg="RS256"); return k,j
def tok(k,kid,**c):
    now=int(time.time()); return jwt.encode({"sub":"alice","exp":now+600,**c},k,"RS256",{"kid":kid})
k1,j1=signer("one"); k2,j2=signer("two")
R=Redis(8771)
CFG=LISTEN+'''[redis]
url = "redis://127.0.0.1:8771"
[provider.p]
jwks = "file:@D@/keys.json"
algorithms = ["RS256"]
refresh_s = 3600
[record.job]
key = "job:{id}"
user = "user_id"
status = "status"
terminal = ["ready"]
[route.ev]
path = "/ev/{id}"
source = "channel"
framing = "raw"
key = "job:{id}:events"
record = "job"
who = "owner"
providers = ["p"]
credentials = ["bearer"]
ending = [{data='{}'}]
[route.open]
path = "/open"
source = "channel"
framing = "raw"
key = "open"
who = "anyone"
'''
def gate(name,text=CFG,keys=(j1,),**kw):
    g=Gate(text,name,start=False,**kw); (g.dir/"keys.json").write_text(json.dumps({"keys":list(keys)})); g.start()
    for _ in range(100):
        try:
            if g.ops()[0]==200: break
        except OSError: pass
        time.sleep(0.05)
    return g
def bearer(t): return {"Authorization":"Bearer "+t}
