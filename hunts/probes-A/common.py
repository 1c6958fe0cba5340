import sys, time, os, json, uuid
sys.dont_write_bytecode = True
sys.path[:0] = ["/tmp/w/keys2/tests", "/tmp/w/keys2/scripts"]
os.environ.setdefault("TAILGATE_BINARY", "/tmp/w/keys2/build/release/tailgate")
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
from support.stack import Stack
from support.clients import open_stream, send, close_all
from support.publishers import Builder, Blog
from support.log_streams import path
from support.seals import seal
import contextlib
def jid(): return "j" + uuid.uuid4().hex[:10]
@contextlib.contextmanager
def stack(name, settings=None, **more):
    s = Stack.up(f"/tmp/w/hunt-A/{name}", settings, **more)
    try: yield s
    finally:
        close_all(); s.down()
def log(stack, job, resume=None, via="tls", params=None, user="alice", **more):
    h = seal(stack, "log-stream", job, user=user) if via == "gateway" else stack.bearer(user)
    if resume is not None: h["Last-Event-ID"] = resume
    return open_stream(stack, path(job), headers=h, params=params, via=via, **more)
T0 = time.monotonic()
def at(): return f"{time.monotonic()-T0:6.2f}"
def say(*a): print(at(), *a, flush=True)
def watch(stream, seconds, t0=None):
    """pump, printing blocks with time"""
    t0 = t0 or time.monotonic(); n = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end and not stream.ended:
        stream.pump(0.02)
        while n < len(stream.blocks):
            say(f"  [{time.monotonic()-t0:5.2f}]", stream.blocks[n].replace("\n", " | ")[:160]); n += 1
    stream.pump()
    while n < len(stream.blocks):
        say(f"  [{time.monotonic()-t0:5.2f}]", stream.blocks[n].replace("\n", " | ")[:160]); n += 1
    say(f"  [{time.monotonic()-t0:5.2f}] status={stream.status} ended={stream.ended}")
    return stream
