import sys, os, time, json, signal, subprocess, threading, contextlib
sys.dont_write_bytecode = True
os.environ["PYTHONDONTWRITEBYTECODE"]="1"
K="/tmp/w/keys2"
sys.path[:0]=[K+"/tests",K+"/scripts"]
os.environ["TAILGATE_BINARY"]=K+"/build/release/tailgate"
from tailgate_stack import ending
ending.end_on_signals()
from support.stack import Stack
from support import routes
from support.clients import open_stream, fetch, close_all
from support.publishers import Builder, Blog, Spools
from support.waiting import wait_until
from support.redis_servers import servers, acl_of_readme
import redis
def up(name, *a, **k):
    import shutil
    d="/tmp/w/hunt-G/"+name
    s=Stack.up(d,*a,**k)
    return s
def names(stream): return [ (e.name,e.data[:60],e.id if hasattr(e,'id') else None) for e in stream.events]
def t0():
    b=time.monotonic()
    return lambda: round(time.monotonic()-b,2)
