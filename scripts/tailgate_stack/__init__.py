"""A private system for the demo and the tests: redis-server, nginx with TLS, and gateways.

    command_line  the options of scripts/stack
    commands      up, restart, reload and down
    state         the stack as a dict, and the file DIR/stack.json that holds it
    processes     sessions: start, wait, end
    ending        ends all that a tool has started, also when the tool gets a signal
    ports         the range of ports that all stacks of a user share
    keys          certificates, signing keys, and the gateway's settings for them
    redis, nginx, gateway   one server each

A stack is a dict that JSON can hold.  `state.save` writes it after each change, so that `down` can end a stack
whose `up` was killed.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Failed(Exception):
    """The reason why a command failed: one sentence.  The last lines of a log may follow it."""
