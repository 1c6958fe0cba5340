from h import *
B, b = site("B")
b.use()
h={"Cookie":"user=owner"}
s1=open_stream(B,"/api/v1/jobs/r1/stream",headers=h,via="plain"); s2=open_stream(B,"/api/v1/jobs/r1/stream",headers=h,via="tls",http="2")
def pub(n): B.redis.publish("jobs:r1:events", json.dumps({"event":"progress-update","data":{"n":n}}))
time.sleep(.5); pub(1)
b.use("add_header X-A b always;"); pub(2)
Path(b.nginx_dir,"http.conf").write_text(Path(b.nginx_dir,"http.conf").read_text().replace("nginx-answers.sock","nginx-answers2.sock"))
b.use(); pub(3); time.sleep(.5)
for s in (s1,s2):
    s.pump(.3); print([ (e.name,e.data) for e in s.events][-3:], s.ended)
print(os.listdir(B.run_dir))
s1.close(); s2.close(); time.sleep(1)
print([p for p in os.popen(f"ps --ppid {B.nginx_pid} -o pid,args").read().splitlines()])
# gateway down, own answers after the change
os.kill(B.gateway_pid, 9); time.sleep(.3)
with open_stream(B,"/api/v1/jobs/r1/stream",headers={"Accept":"text/event-stream"},via="plain") as a: a.pump(.2); print(a.status,a.raw[:80])
# kill nginx (-9) and see
