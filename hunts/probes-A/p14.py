import sys; sys.dont_write_bytecode=True
sys.path[:0] = ["/tmp/w/keys2/tests", "/tmp/w/keys2/scripts"]
from chaos.auditor import Audit, Patience
from chaos.ledger import *
def run(name, items, moves, seen, patience=None, resume="", status=200, head=100.5, more=()):
    l = Ledger(); l.ended = 200.0
    src = l.source("s", "log"); 
    for n, t in enumerate(items, 1): src.add(Item(n, t, t + .001, (n, 0))); src.left.add(n)
    j = l.job("j"); j.moves += [Move(t, t, s, s in ("failed", "ready")) for t, s in moves]
    c = Client("c", "log-stream", src, j); l.clients.append(c)
    c.connections.append(Connection(asked=100.4, head=head, status=status, resume=resume, last_byte=120, end=121, how="clean", seen=seen))
    c.connections += more
    a = Audit(l, patience) ; v = a.run(); print(name, "->", [f"{x.kind}: {x.text[:150]}" for x in v] or "no violation")
it = lambda n, t: Seen(t, "item", n, (n, 0)); fin = lambda n, t: Seen(t, "final", id=(n, 0))
M = [(100, "running"), (105, "failed")]
run("1 lost late line 0.5 s after the status", [101, 105.5], M, [it(1, 101), fin(1, 106.2)])
run("2 late line at +0.7 came, the next at +1.4 was lost (0.7 s of silence)", [101, 105.7, 106.4], M, [it(1, 101), it(2, 105.7), fin(2, 106.41)])
run("3 the same, three times 0.5 s", [101, 105.5, 106.0, 106.5], M, [it(1, 101), it(2, 105.5), it(3, 106.0), fin(3, 106.51)])
run("4 204 for end.1-0 while the log holds 2", [101, 105.5], M, [it(1, 101), it(2, 105.5), fin(2, 107)], more=[Connection(asked=110, head=110.1, status=204, resume="end.1-0", end=110.2, how="clean")])
run("5 second run: line before its end lost (job ran again inside the stream)", [101, 106.0, 109.0], [(100, "running"), (105, "failed"), (105.9, "running"), (110, "failed")], [it(1, 101), it(2, 106), fin(2, 112)])
run("6 ASan patience x2: one line 1.5 s after the status, done at +1.2: the gateway is right", [101, 106.5], M, [it(1, 101), fin(1, 106.2)], patience=Patience().times(2))
run("7 stream opened after the end (newest line 0.2 s old), late line lost", [101, 104.9, 105.6], M, [fin(2, 105.3)], head=105.2)
run("8 done 40 s after the status, nothing after it (end never within 5 s)", [101], M, [it(1, 101), fin(1, 145)])
