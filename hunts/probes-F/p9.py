from lab import *
os.environ["TAILGATE_BINARY"]=B
from support.stack import Stack
from support.application import Application
D=pathlib.Path("/tmp/w/keys2/deploy")
sock=str(ROOT/"appl.sock")
try: os.unlink(sock)
except OSError: pass
app=Application(sock)
def slow(h): time.sleep(7); return (200,{"status":"running"})
app.answers["/api/v1/jobs/j1/status"]=slow
for target in ("unix:{run}/leg-app.sock","unix:"+sock):
    st=Stack.up(ROOT/"s",{"record.job.target":target,"record.job.timeout_s":20},config=D/"blog-application.toml",application="unix:"+sock)
    try:
        t=time.time(); p=subprocess.run(["curl","-sk","-m","12","-H","Authorization: Bearer x",st.base_url+"/api/v1/jobs/j1/stream","-w","\n%{http_code}"],capture_output=True,text=True)
        print(target,round(time.time()-t,1),repr(p.stdout[-220:])); print([l.get("why") for l in st.logs("application.failed")])
    finally: st.down()
app.close()
