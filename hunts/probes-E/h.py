import os, sys, json, base64, time
sys.dont_write_bytecode = True
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
W = "/tmp/w/keys2"
sys.path[:0] = [W + "/tests", W + "/scripts"]
os.environ["TAILGATE_BINARY"] = W + "/build/release/tailgate"
os.environ["LD_LIBRARY_PATH"] = "/tmp/w/hunt-E/mods/x/usr/lib/x86_64-linux-gnu"
from support.stack import Stack, DEPLOY
from support.site import Site, challenges
from support.clients import fetch, open_stream, dial
from support.publishers import Blog, Builder, Spools
from support import routes
from pathlib import Path
ANY = "/api/sse/stream"
MOD = "/tmp/w/hunt-E/mods/x/usr/lib/nginx/modules"
def attach(d):
    s = Stack(d); s.facts = json.loads(Path(d, "stack.json").read_text()); return s
def H(a, *names):
    return {n: [v for k, v in a.header_list if k.lower() == n] for n in names}
def site(name):
    s = Stack("/tmp/w/hunt-E/" + name); s.facts = json.loads(open(f"/tmp/w/hunt-E/{name}.json").read())
    Path(s.facts["nginx_dir"], "nginx.conf").write_text(open(f"/tmp/w/hunt-E/{name}.pristine").read())
    Path(s.facts["nginx_dir"], "site.conf").write_text(open(f"/tmp/w/hunt-E/{name}.siteconf").read())
    x = Site(s)
    return s, x
