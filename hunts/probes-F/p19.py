from lab import *
os.environ["TAILGATE_BINARY"]=B
from support.stack import Stack
from support.clients import open_stream
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
k=rsa.generate_private_key(public_exponent=65537,key_size=2048); j=json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(k.public_key())); j.update(kid="a"); (ROOT/"k19.json").write_text(json.dumps({"keys":[j]}))
st=Stack.up(ROOT/"s",{"provider.clerk.jwks":'"file:/tmp/w/hunt-F/k19.json"'})
try:
    st.redis.hset("job:j1",mapping={"user_id":"alice","status":"x"})
    for n in (10,8300):
        now=int(time.time()); t=jwt.encode({"iss":"https://clerk.example.test","sub":"alice","iat":now,"nbf":now,"exp":now+600,"azp":"https://a.test","pad":"x"*n},k,"RS256",{"kid":"a"})
        for http in ("1.1","2"):
            with open_stream(st,"/api/jobs/j1/stream",headers={"Authorization":"Bearer "+t},http=http) as a: print("genuine token of",len(t),"bytes, h"+http,a.status,a.headers.get("www-authenticate"))
finally: st.down()
