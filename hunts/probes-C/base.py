import sys, time
sys.dont_write_bytecode = True
R="/tmp/w/keys2"
sys.path[:0]=[R+"/tests", R+"/scripts"]
from support.stack import Stack, DEPLOY
from support.clients import *
from support.application import Application
from support.publishers import Blog, Builder
from pathlib import Path
H=Path("/tmp/w/hunt-C")
def up(name, settings=None, **more):
    import shutil
    d=H/name
    shutil.rmtree(d, ignore_errors=True)
    return Stack.up(d, settings, **more)
P="/api/sse/stream"
