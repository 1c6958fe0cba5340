from p2lib import *
for name,text in (("an empty set",'{"keys":[]}'),("only a key of another use",json.dumps({"keys":[{**j2,"use":"enc"}]})),("only an unusable new key",json.dumps({"keys":[{**j2,"alg":"PS512"}]}))):
    g=gate("wd",CFG.replace("refresh_s = 3600","refresh_s = 1")); t=tok(k1,"one"); a=g.auth("/ev/1",bearer(t))[1]
    (g.dir/"keys.json").write_text(text); g.hup(); b=g.auth("/ev/1",bearer(t))[1]; time.sleep(2.5); print(name,": before",a,"after SIGHUP",b,"after 2 refreshes",g.auth("/ev/1",bearer(tok(k1,"one",x=1)))[1],[(l["why"],l["has_old_keys"]) for l in g.logs("keys.failed")][-1]); g.end()
R.end()
