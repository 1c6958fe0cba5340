# signals at tools, as terminals send them
import os, pty, signal, subprocess, sys, time, tempfile, shutil
from pathlib import Path
sys.path[:0]=["/tmp/w/keys2/tests","/tmp/w/keys2/scripts"]
K="/tmp/w/keys2"; PY="/usr/bin/python3"; BIN=K+"/build/release/tailgate"
def belonging(home):
    found=[]
    for p in Path("/proc").glob("[0-9]*"):
        t=b""
        try:
            t+=(p/"cmdline").read_bytes(); st=(p/"stat").read_text().rpartition(")")[2].split()[0]; t+=(p/"environ").read_bytes(); t+=bytes((p/"cwd").readlink())
        except OSError: pass
        if str(home).encode() in t and st!="Z" : found.append((int(p.name),(p/"cmdline").read_bytes()[:90] if (p/"cmdline").exists() else b""))
    return found
def run(name, cmd, how, after, wait_for=("redis-server","tailgate")):
    home=Path(tempfile.mkdtemp(prefix="hg-",dir="/tmp"))
    env={**os.environ,"TMPDIR":str(home),"PYTHONDONTWRITEBYTECODE":"1","TAILGATE_BINARY":BIN}
    out=open(home/"output","wb")
    if how.startswith("pty"):
        m,sl=pty.openpty()
        def pre():
            os.setsid(); import fcntl,termios; fcntl.ioctl(0,termios.TIOCSCTTY,0)
        p=subprocess.Popen(cmd,stdin=sl,stdout=sl,stderr=sl,cwd=K,env=env,preexec_fn=pre); os.close(sl)
    else:
        p=subprocess.Popen(cmd,stdin=subprocess.DEVNULL,stdout=out,stderr=out,cwd=K,env=env,start_new_session=True)
    t=time.monotonic()
    def drainpty():
        import select
        while how.startswith("pty") and select.select([m],[],[],0)[0]:
            try:
                if not os.read(m,65536): return
            except OSError: return
    while time.monotonic()-t<60 and p.poll() is None:
        drainpty()
        comms=set()
        for pid,_ in belonging(home):
            try: comms.add(Path(f"/proc/{pid}/comm").read_text().strip())
            except OSError: pass
        if set(wait_for)<=comms: break
        time.sleep(.1)
    if p.poll() is not None: print(name,how,"ENDED EARLY",p.returncode,(home/"output").read_text()[-500:]); 
    time.sleep(after)
    b=time.monotonic()
    if how=="group-int": os.killpg(p.pid,signal.SIGINT)
    elif how=="group-term": os.killpg(p.pid,signal.SIGTERM)
    elif how=="pty-close": os.close(m)
    elif how=="pty-ctrlc": os.write(m,b"\x03")
    elif how=="pty-ctrlc3":
        for _ in range(3): os.write(m,b"\x03"); time.sleep(.3)
    elif how=="term": p.send_signal(15)
    elif how=="hup": p.send_signal(1)
    try:
        e=time.monotonic()+90
        while p.poll() is None and time.monotonic()<e:
            if how!="pty-close": drainpty()
            time.sleep(.05)
        took=time.monotonic()-b
    finally: pass
    left=belonging(home); dirs=[x.name for x in home.iterdir() if x.is_dir() and x.name.startswith("tailgate-")]
    print(f"{name:22} {how:11} after {after}: exit {p.returncode} in {took:.1f} s; left {left}; dirs {dirs}",flush=True)
    for pid,_ in left:
        try: os.kill(pid,9)
        except OSError: pass
    shutil.rmtree(home,ignore_errors=True)
small="routes/test_fourth_team.py"
