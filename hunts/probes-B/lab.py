import sys, os, contextlib, json, time, threading, tempfile
from pathlib import Path
ROOT=Path('/tmp/w/hunt-B/tree')
for p in ('tests','tests/e2e','scripts'): sys.path.insert(0,str(ROOT/p))
from support.application import Application
from support.browser import Browser
from support.stack import Stack
from clients import scenarios, table
from clients.drivers import *
from clients.recorder import Recorder
from clients.sessions import Session, Site
from clients.test_clients import SETTINGS
import support.stack
class Lab:
    """A stack, a recorder, and the drivers.  `extra` is a folder with modes/<client>.mjs that are served too."""
    def __init__(self, name, settings=None, page=False, modes=()):
        self.ends=contextlib.ExitStack(); self.name=name
        work=self.work=Path(tempfile.mkdtemp(prefix=name+'-',dir='/tmp/w/hunt-B/run'))
        self.folder=Path(tempfile.mkdtemp(prefix='run-',dir=MODULES.parent))
        self.ends.callback(shutil.rmtree,self.folder,True)
        copy_modules_to(self.folder)
        for mode in modes: shutil.copytree(mode,self.folder/Path(mode).name)
        app=self.app=Application(work/'application.sock'); self.ends.callback(app.close)
        serve_modules(app,self.folder)
        secret=work/'secret'; secret.write_text(scenarios.SECRETS[0]); secret.chmod(0o600)
        s={**SETTINGS,'provider.blog.secret_file':str(secret),**(settings or {})}
        s={k:v for k,v in s.items() if v is not None}
        stack=self.stack=Stack.up(work/'s',s,nginx_settings={'TG_STREAMS':'unix:{run}/recorder.sock'},application=app.url)
        self.ends.callback(stack.down)
        self.rec=Recorder(stack.run_dir/'recorder.sock',stack.gateway_socket); self.ends.callback(self.rec.close)
        self.site=Site(stack,self.rec,secret)
        self.drivers={'node':node_driver(self.folder,work,stack.ca_file),'script':script_driver(self.folder,work,stack.ca_file)}
        for d in self.drivers.values(): self.ends.callback(d.close)
        if page:
            self.browser=Browser(work); self.ends.callback(self.browser.close)
            self.drivers['page']=PageDriver(self.browser,threading.Lock(),stack)
    def session(self,client,mode='snippets',driver=None,channel=False,cell='resume'):
        s=Session(self.site,client,self.drivers[driver or table.EXPECTED[client][0]],mode,cell,channel)
        return s
    def __enter__(self): return self
    def __exit__(self,*a): self.ends.close()

def copy_modules_to(folder):
    shutil.rmtree(folder); folder.mkdir()
    copy_modules(folder)
def until(f,s=20):
    t=time.time()
    while time.time()-t<s:
        v=f()
        if v: return v
        time.sleep(.05)
    return f()
