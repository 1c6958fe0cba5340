from base import *
import subprocess, uuid, urllib.parse
S=up("s6")
try:
    bj="b"+uuid.uuid4().hex[:6]
    b=Builder(S.redis,bj).create(); ids=b.log_many(6)
    print("ids",ids)
    port=urllib.parse.urlsplit(S.plain_url).port
    p=subprocess.Popen(["node",str(H/"fes.mjs"),str(port),f"/api/jobs/{bj}/logs/stream",S.token("builder"),ids[1]],stdin=subprocess.PIPE,stdout=subprocess.PIPE,stderr=subprocess.STDOUT,text=True)
    time.sleep(1.5)
    p.stdin.write("x\n"); p.stdin.flush(); time.sleep(.5)
    new=b.log_many(2); print("written while away",new)
    print(p.communicate()[0])
finally: S.down()
