# JWK forms: Tailgate against PyJWT (PyJWK) ; node's crypto is asked in a second step
from lab import *
import jwt,base64
from cryptography.hazmat.primitives.asymmetric import rsa,ec,ed25519
def b64(b,pad=False):
    t=base64.urlsafe_b64encode(b).decode(); return t if pad else t.rstrip("=")
rk=rsa.generate_private_key(public_exponent=65537,key_size=2048)
J=json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rk.public_key())); J={k:J[k] for k in("kty","n","e")}
nb=rk.public_key().public_numbers().n.to_bytes(256,"big")
def ecj(c,curve,size):
    k=ec.generate_private_key(c); p=k.public_key().public_numbers(); return k,{"kty":"EC","crv":curve,"x":b64(p.x.to_bytes(size,"big")),"y":b64(p.y.to_bytes(size,"big"))}
ek,EJ=ecj(ec.SECP256R1(),"P-256",32)
e3,E3=ecj(ec.SECP384R1(),"P-384",48)
e5,E5=ecj(ec.SECP521R1(),"P-521",66)
# a P-256 key whose x has a leading zero byte, written without it
while True:
    zk,ZJ=ecj(ec.SECP256R1(),"P-256",32); p=zk.public_key().public_numbers()
    if p.x<2**248: break
ZS={**ZJ,"x":b64(p.x.to_bytes(31,"big"))}
dk=ed25519.Ed25519PrivateKey.generate(); D={"kty":"OKP","crv":"Ed25519","x":b64(dk.public_key().public_bytes(__import__("cryptography.hazmat.primitives.serialization",fromlist=["x"]).Encoding.Raw,__import__("cryptography.hazmat.primitives.serialization",fromlist=["x"]).PublicFormat.Raw))}
std=base64.b64encode(nb).decode()
C={
 "plain":(rk,"RS256",J),
 "use null alg null":(rk,"RS256",{**J,"use":None,"alg":None,"key_ops":None,"x5c":None,"x5t":None,"d":None,"p":None}),
 "kid null":(rk,"RS256",{**J,"kid":None}),
 "kid number":(rk,"RS256",{**J,"kid":7}),
 "kid empty":(rk,"RS256",{**J,"kid":""}),
 "kid 300":(rk,"RS256",{**J,"kid":"k"*300}),
 "padded n":(rk,"RS256",{**J,"n":b64(nb,True)}),
 "padded e":(rk,"RS256",{**J,"e":"AQAB===="}),
 "std alphabet n":(rk,"RS256",{**J,"n":std}),
 "std alphabet no pad":(rk,"RS256",{**J,"n":std.rstrip("=")}),
 "n leading zero":(rk,"RS256",{**J,"n":b64(b"\0"+nb)}),
 "n two leading zeros":(rk,"RS256",{**J,"n":b64(b"\0\0"+nb)}),
 "n 300 leading zeros":(rk,"RS256",{**J,"n":b64(b"\0"*800+nb)}),
 "n line breaks":(rk,"RS256",{**J,"n":J["n"][:64]+"\n"+J["n"][64:]}),
 "n loose last bits":(rk,"RS256",{**J,"n":J["n"][:-1]+{"A":"B","Q":"R","g":"h","w":"x"}.get(J["n"][-1],J["n"][-1])}),
 "n trailing newline":(rk,"RS256",{**J,"n":J["n"]+"\n"}),
 "e leading zero":(rk,"RS256",{**J,"e":b64(b"\0\1\0\1")}),
 "e number":(rk,"RS256",{**J,"e":65537}),
 "use sig":(rk,"RS256",{**J,"use":"sig"}),
 "use enc":(rk,"RS256",{**J,"use":"enc"}),
 "use empty":(rk,"RS256",{**J,"use":""}),
 "use SIG":(rk,"RS256",{**J,"use":"SIG"}),
 "use list":(rk,"RS256",{**J,"use":["sig"]}),
 "key_ops verify":(rk,"RS256",{**J,"key_ops":["verify"]}),
 "key_ops sign,verify":(rk,"RS256",{**J,"key_ops":["sign","verify"]}),
 "key_ops sign":(rk,"RS256",{**J,"key_ops":["sign"]}),
 "key_ops empty":(rk,"RS256",{**J,"key_ops":[]}),
 "key_ops text":(rk,"RS256",{**J,"key_ops":"verify"}),
 "alg RS256":(rk,"RS256",{**J,"alg":"RS256"}),
 "alg PS256 tok RS256":(rk,"RS256",{**J,"alg":"PS256"}),
 "alg RS384 tok RS256":(rk,"RS256",{**J,"alg":"RS384"}),
 "alg empty":(rk,"RS256",{**J,"alg":""}),
 "alg RSA-OAEP use sig":(rk,"RS256",{**J,"alg":"RSA-OAEP","use":"sig"}),
 "alg PS512":(rk,"RS256",{**J,"alg":"PS512"}),
 "alg rs256":(rk,"RS256",{**J,"alg":"rs256"}),
 "ext true":(rk,"RS256",{**J,"ext":True}),
 "kty rsa":(rk,"RS256",{**J,"kty":"rsa"}),
 "with d":(rk,"RS256",json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rk))),
 "x5c only":(rk,"RS256",{"kty":"RSA","x5c":["MIIB"]}),
 "EC":(ek,"ES256",EJ),"EC padded":(ek,"ES256",{**EJ,"x":EJ["x"]+"=","y":EJ["y"]+"="}),
 "EC short x":(zk,"ES256",ZS),"EC alg ES256":(ek,"ES256",{**EJ,"alg":"ES256"}),
 "EC384":(e3,"ES384",E3),"EC521":(e5,"ES512",E5),"OKP":(dk,"EdDSA",D),"OKP alg EdDSA":(dk,"EdDSA",{**D,"alg":"EdDSA"}),"OKP alg Ed25519":(dk,"EdDSA",{**D,"alg":"Ed25519"}),
 "EC crv null":(ek,"ES256",{**EJ,"crv":None}),
}
CFG=LISTEN+'''[redis]
url = "redis://127.0.0.1:8798"
[provider.p]
jwks = "file:@D@/keys.json"
algorithms = ["RS256","ES256","ES384","EdDSA"]
refresh_s = 3600
[record.job]
key = "job:{id}"
user = "user_id"
[route.ev]
path = "/ev/{id}"
source = "channel"
framing = "raw"
key = "job:{id}:events"
record = "job"
who = "owner"
providers = ["p"]
credentials = ["bearer"]
'''
g=Gate(CFG,"jwk",start=False); (g.dir/"keys.json").write_text(json.dumps({"keys":[J]})); g.start(); time.sleep(.3)
cases=[]
for name,(key,alg,j) in C.items():
    j2=dict(j)
    if "kid" not in j2: j2["kid"]="K-"+name
    hdr={"kid":j2["kid"]} if isinstance(j2.get("kid"),str) else {}
    t=jwt.encode({"sub":"a","exp":int(time.time())+600},key,alg,hdr or None)
    try:
        k=jwt.PyJWK(j2,alg) ; jwt.decode(t,k.key,[alg]); py="ok"
        try: jwt.PyJWK(j2)
        except Exception as e: py="ok/"+type(e).__name__
    except Exception as e: py=type(e).__name__+":"+str(e)[:40]
    (g.dir/"keys.json").write_text(json.dumps({"keys":[j2]})); n=len(g.logs()); g.hup(0.12)
    v=g.auth("/ev/1",{"Authorization":"Bearer "+t})[1]
    new=[l for l in g.logs()[n:] if l["event"] in("keys.failed","keys.refreshed")]
    why=[(l["event"][5:],l.get("why") or l.get("left_out")) for l in new]
    cases.append((name,j2,alg,t)); print(f"{name:24} tailgate={v:14} PyJWT={py:24} {why if v!='ok' else ''}")
json.dump([[n,j,a,t] for n,j,a,t in cases],open(ROOT/"jwk.json","w"))
# sets
for name,text in {"bom":"\ufeff"+json.dumps({"keys":[J]}),"bare jwk":json.dumps(J),"bare list":json.dumps([J]),"empty":"","keys null":'{"keys":null}',"33 keys":json.dumps({"keys":[{**J,"kid":str(i)} for i in range(34)]}),"pem":"-----BEGIN PUBLIC KEY-----\n","x509 map":'{"a":"-----BEGIN CERTIFICATE"}',"crlf":json.dumps({"keys":[J]},indent=1).replace("\n","\r\n"),"nested extra":json.dumps({"keys":[{**J,"x":{"a":[1]}}],"issuer":"x"}),"dup kid":json.dumps({"keys":[{**J,"kid":"a"},{**EJ,"kid":"a"}]})}.items():
    (g.dir/"keys.json").write_text(text); n=len(g.logs()); g.hup(.12); t=jwt.encode({"sub":"a","exp":int(time.time())+600},rk,"RS256",{"kid":"33"} if name=="33 keys" else {"kid":"a"} if name=="dup kid" else None)
    print(name,g.auth("/ev/1",{"Authorization":"Bearer "+t})[1],[(l["event"],l.get("why") or l.get("left_out"),l.get("keys")) for l in g.logs()[n:]])
g.end()
