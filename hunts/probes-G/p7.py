# P7: the log's key gets another log: RENAME, COPY, RESTORE, SWAPDB with overlapping ids
from h import *
s=up("p7", redis_conf=["notify-keyspace-events "+(sys.argv[1] if len(sys.argv)>1 else '""')])
try:
    r=s.redis
    def run(name, change, base=None):
        j="j-"+name.replace(" ","_").replace(",","").replace("+","p").replace("&","n"); k=f"job:{j}:logs"
        Builder(r,j).create("running"); r.xadd(k,{"text":"a"},id="100-0")
        st=open_stream(s,f"/api/jobs/{j}/logs/stream",headers=s.bearer()).wait_head()
        r.xadd(k,{"text":"b"},id="200-0"); st.next_event()
        change(j,k); time.sleep(4); st.pump()
        print(f"{name:28}", [(e.name, e.data if e.name=='gap' else json.loads(e.data)["text"] if e.name=='log' else '') for e in st.events], st.ended)
        st.close()
    def other(k,*ids):
        r.delete(k+":o")
        for i in ids: r.xadd(k+":o",{"text":"other "+i},id=i)
        return k+":o"
    run("rename, all below", lambda j,k: r.rename(other(k,"50-0","60-0"),k))
    run("rename, below and above", lambda j,k: r.rename(other(k,"50-0","150-0","300-0"),k))
    run("rename, at position & above", lambda j,k: r.rename(other(k,"150-0","200-0","300-0"),k))
    run("rename, all above", lambda j,k: r.rename(other(k,"250-0","300-0"),k))
    run("restore replace", lambda j,k: r.restore(k,0,r.execute_command("DUMP",other(k,"50-0","300-0"),NEVER_DECODE=True) if False else redis.Redis(unix_socket_path=s.facts["redis_socket"]).dump(other(k,"50-0","300-0")),replace=True))
    run("del + xadd above", lambda j,k: (r.delete(k), r.xadd(k,{"text":"new"},id="300-0")))
    run("del + xadd same id", lambda j,k: (r.delete(k), r.xadd(k,{"text":"new"},id="200-0"), r.xadd(k,{"text":"new2"},id="201-0")))
    run("del + xadd below,above", lambda j,k: (r.delete(k), r.xadd(k,{"text":"new"},id="150-0"), r.xadd(k,{"text":"new2"},id="201-0")))
    run("flushall + xadd below,above", lambda j,k: (r.flushall(), Builder(r,j).create("running"), r.xadd(k,{"text":"new"},id="150-0"), r.xadd(k,{"text":"new2"},id="201-0")))
    run("rename away", lambda j,k: r.rename(k,k+":z"))
    run("rename away and back +1", lambda j,k: (r.rename(k,k+":z"), time.sleep(.1), r.rename(k+":z",k), r.xadd(k,{"text":"c"},id="201-0")))
    run("set string", lambda j,k: r.set(k,"x"))
    run("del, string, 1s, stream", lambda j,k: (r.delete(k), r.set(k,"x"), time.sleep(.3), r.delete(k), r.xadd(k,{"text":"c"},id="201-0")))
    run("xsetid", lambda j,k: (r.execute_command("XSETID",k,"500-0"), r.xadd(k,{"text":"c"},id="501-0")))
    run("trim all", lambda j,k: (r.xadd(k,{"text":"c"},id="201-0") , r.xtrim(k,maxlen=0)))
    def multi(j,k):
        p=r.pipeline(transaction=True); p.delete(k); p.xadd(k,{"text":"n1"},id="150-0"); p.xadd(k,{"text":"n2"},id="300-0"); p.execute()
    run("multi del,xadd,xadd", multi)
finally:
    close_all(); s.down()
