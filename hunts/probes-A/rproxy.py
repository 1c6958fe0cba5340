"""A unix-socket proxy that sees each command of the gateway.  hook(args) is called before a command is forwarded."""
import asyncio, threading, os
class Proxy:
    def __init__(self, listen, target):
        self.listen, self.target = listen, target
        self.hook = lambda conn, args: None   # may block (runs in the loop)
        self.refuse = False; self.hold = lambda conn: False  # hold replies to this conn
        self.writers = set(); self.seen = []
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        async def main():
            self.server = await asyncio.start_unix_server(self.serve, path=listen, limit=1<<26)
            os.chmod(listen, 0o666); ready.set()
        threading.Thread(target=lambda: (self.loop.run_until_complete(main()), self.loop.run_forever()), daemon=True).start()
        ready.wait()
    def cut(self):
        def go():
            for w in list(self.writers): w.transport.abort()
        self.loop.call_soon_threadsafe(go)
    async def serve(self, cr, cw):
        if self.refuse: cw.transport.abort(); return
        try: sr, sw = await asyncio.open_unix_connection(self.target, limit=1<<26)
        except OSError: cw.transport.abort(); return
        self.writers |= {cw, sw}
        conn = {"name": "", "sub": False}
        async def up():
            try:
                while True:
                    head = await sr_line(cr)
                    n = int(head[1:]); raw = head + b"\r\n"; args = []
                    for _ in range(n):
                        l = await sr_line(cr); size = int(l[1:]); data = await cr.readexactly(size + 2)
                        raw += l + b"\r\n" + data; args.append(data[:-2].decode("latin-1"))
                    if args[0].upper() == "SUBSCRIBE": conn["sub"] = True
                    if [a.upper() for a in args[:2]] == ["CLIENT", "SETNAME"]: conn["name"] = args[2]
                    r = self.hook(conn, args)
                    if asyncio.iscoroutine(r): await r
                    sw.write(raw); await sw.drain()
            except Exception: pass
            cw.transport.abort(); sw.transport.abort()
        async def sr_line(r): return (await r.readuntil(b"\r\n"))[:-2]
        async def down():
            try:
                while True:
                    data = await sr.read(65536)
                    if not data: break
                    while self.hold(conn): await asyncio.sleep(.005)
                    cw.write(data); await cw.drain()
            except Exception: pass
            cw.transport.abort(); sw.transport.abort()
        await asyncio.gather(up(), down()); self.writers -= {cw, sw}
