import sys; sys.argv=sys.argv[:1]
from p12lib import *
import random; random.seed(7)
ST=K+"/scripts/stack"
for n in range(8):
    home=Path(tempfile.mkdtemp(prefix="hg-",dir="/tmp")); d=str(home/"s")
    env={**os.environ,"TMPDIR":str(home),"PYTHONDONTWRITEBYTECODE":"1"}
    r=subprocess.run([PY,ST,"up","--dir",d,"--binary",BIN],env=env,capture_output=True,text=True,cwd=K)
    verb=["down","restart","restart","down"][n%4]; words=[[],["gateway"],["redis","gateway"],[]][n%4]
    t=random.uniform(.02,.9)
    p=subprocess.Popen([PY,ST,verb,"--dir",d,*words],env=env,cwd=K,stdout=subprocess.PIPE,stderr=subprocess.STDOUT,text=True)
    time.sleep(t); sig=random.choice([2,15,1]); p.send_signal(sig); out=p.communicate()[0]
    mid=len(belonging(home))
    q=subprocess.run([PY,ST,"down","--dir",d],env=env,capture_output=True,text=True,cwd=K)
    left=belonging(home)
    print(verb,words,f"signal {sig} after {t:.2f}: exit {p.returncode}, {mid} processes; then down: exit {q.returncode} {q.stderr[-120:]!r}; left {left}; files {[x.name for x in home.iterdir()]}",flush=True)
    for pid,_ in left: os.kill(pid,9)
    shutil.rmtree(home,ignore_errors=True)
