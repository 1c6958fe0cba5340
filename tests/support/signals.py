"""Signals of the processes that tests start."""

import signal


def heed_signals():
    """Call this in a new process before it starts a tool.  Signals that this test run ignores, as under nohup, would
    otherwise stay ignored in the tool."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
