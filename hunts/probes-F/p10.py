from p2lib import *
def first(g,uri,h,n=20):
    c=UH(str(g.dir/"streams.sock"),3); c.request("GET",uri,headers=h); r=c.getresponse(); b=r.read1(n); return r.status,b
g=gate("i5"); g2=gate("i5b"); ident=g2.auth("/ev/1",bearer(tok(k1,"one")))[2]["X-Tailgate-Identity"]; key2=(g2.dir/"identity.key").read_text(); g2.end()
f=g.dir/"identity.key"; k=f.read_text(); R.cli("HSET","job:1","user_id","alice","status","x")
f.write_text(k+"# "+"x"*4100+"\n"+key2); g.hup(); print("  key after a comment of 4 KB:",first(g,"/ev/1",{"X-Tailgate-Identity":ident})[0],[l["event"] for l in g.logs()][-2:])
f.write_text("# "+"x"*4100+"\n"+k); g.hup(); print("  ",g.logs("identity.refused")); g.end()
# cors origins of spaces
t=CFG.replace("[redis]",'[cors]\norigins = ["https://a.example"]\n[redis]')
g=gate("co",t,env={"TAILGATE_CORS_ORIGINS":"  "}); c=g.get("/none",{"Origin":"https://a.example"}); print("CORS origins='  ':",dict(c[2]).get("Access-Control-Allow-Origin")); g.end()
R.end()
