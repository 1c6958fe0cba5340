from h import *
s=up("p15",{"drain.settle_s":1,"drain.deadline_s":22})
try:
    b=Builder(s.redis,"j").create("running")
    held=open_stream(s,"/api/jobs/j/logs/stream",headers=s.bearer()).wait_head()
    tok=s.token("blog","7"); be=s.bearer()["Authorization"]
    os.kill(s.gateway_pid,15); time.sleep(2)
    ps={}
    for n,a in {"R1 bearer":["/api/jobs/j/events/stream","-H","Authorization: "+be],"R2 bearer":["/api/jobs/j/stream","-H","Authorization: "+be],"R5":["/api/sse/stream"],"R6 EventSource":["/api/v1/jobs/j/stream?token="+tok,"-H","Accept: text/event-stream"]}.items():
        ps[n]=subprocess.Popen(["curl","-sN","-m","40","-w","\n%{http_code} first byte %{time_starttransfer} total %{time_total}\n",s.plain_url+a[0],*a[1:]],stdout=subprocess.PIPE,text=True)
    for n,p in ps.items(): print(n, p.communicate()[0][-230:].replace("\n"," | "))
finally:
    close_all(); s.down()
