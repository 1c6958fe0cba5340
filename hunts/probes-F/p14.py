from p2lib import *
g=gate("leak"); heap=lambda: [l for l in g.ops("/metrics")[1].splitlines() if l.startswith(("tailgate_heap","tailgate_reloads_total"))]
c=UH(str(g.dir/"streams.sock")); c.request("GET","/open"); r=c.getresponse(); r.read1(100)
print(heap())
for i in range(4):
    for _ in range(150): os.kill(g.p.pid,signal.SIGHUP); time.sleep(.004)
    time.sleep(.3); print(heap(), open(f"/proc/{g.p.pid}/status").read().split("VmRSS:")[1].split("\n")[0].strip(), len(os.listdir(f"/proc/{g.p.pid}/fd")))
g.end()
for n in (50,200,800):
    t=CFG+"".join(CFG[CFG.index("[route.ev]"):CFG.index("[route.open]")].replace("[route.ev]",f"[route.e{i}]").replace("/ev/",f"/e{i}/") for i in range(n))
    open("big.toml","w").write(t.replace("@D@","/tmp")); t0=time.time(); p=subprocess.run([B,"--check","--config","big.toml"],capture_output=True,text=True); print(n,"routes: --check",round(time.time()-t0,2),"s",p.stdout[-40:],p.stderr[:100])
R.end()
