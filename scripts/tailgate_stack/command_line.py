"""Starts and ends a private system: redis-server, nginx with TLS, and gateways.

    scripts/stack up --dir DIR [--config FILE] [--instances N] [--set key=value]...
    scripts/stack restart --dir DIR [gateway|redis|nginx] [--wait] [--kill]
    scripts/stack reload --dir DIR [gateway|nginx]
    scripts/stack down --dir DIR

`up` starts the servers, prints one JSON object and ends.  The file DIR/stack.json names the servers, and `down` ends
them.  Several stacks can run at the same time: they register their ports in one locked file.  In the values of
options, "{run}" stands for the folder of the sockets.

`restart gateway` is an upgrade: scripts/keep-sockets holds the listening sockets, the new process serves before the
old one is told to end, and the old one drains.
"""

import argparse
import sys

from tailgate_stack import ROOT, Failed, commands, ending


def parser():
    top = argparse.ArgumentParser(
        prog="stack", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = top.add_subparsers(dest="verb", required=True)

    def verb(name, function, text):
        sub = verbs.add_parser(name, help=text)
        sub.add_argument("--dir", required=True, metavar="DIR", help="the folder of the stack")
        sub.set_defaults(function=function)
        return sub

    many = {"action": "append", "default": []}
    up = verb("up", commands.up, "start a system and print its addresses")
    up.add_argument("--config", default=str(ROOT / "deploy/all-three.toml"), metavar="FILE")
    up.add_argument("--binary", metavar="PATH", help="default: TAILGATE_BINARY, or build/release/tailgate")
    up.add_argument("--instances", type=int, default=1, metavar="N", help="number of gateway processes")
    up.add_argument("--set", **many, metavar="KEY=VALUE", help="as tailgate --set")
    up.add_argument("--env", **many, metavar="NAME=VALUE", help="an environment variable of the gateways")
    up.add_argument("--redis", metavar="URL", help="use this Redis instead of a private one")
    up.add_argument("--gateway-redis", metavar="URL", help="the URL for the gateways, if a proxy is in front of Redis")
    up.add_argument("--redis-conf", **many, metavar="LINE", help="a line of the private Redis's redis.conf")
    up.add_argument("--redis-tls", action="store_true", help="gateways reach Redis over nginx's TLS leg")
    up.add_argument("--application", default="", metavar="URL", help="gets the requests that match no route")
    up.add_argument("--nginx-set", **many, metavar="NAME=VALUE", help="as nginx/render --set")
    up.add_argument("--no-nginx", action="store_true")
    up.add_argument(
        "--own-sockets", action="store_true", help="gateways bind their sockets: a restart is stop and start"
    )
    up.add_argument(
        "--wait", choices=("ready", "alive", "none"), default="ready", help="state of the gateways to wait for"
    )
    up.add_argument("--keep-logs-on-failure", action="store_true")

    restart = verb("restart", commands.restart, "start again: gateway (default, without a gap), redis, nginx")
    restart.add_argument("what", nargs="*", choices=("gateway", "redis", "nginx", []))
    restart.add_argument("--kill", action="store_true", help="end the servers with SIGKILL, then start them")
    restart.add_argument("--wait", action="store_true", help="wait until the old gateways have drained")

    reload = verb("reload", commands.reload, "read the configuration again: nginx (default), gateway")
    reload.add_argument("what", nargs="*", choices=("gateway", "nginx", []))
    reload.add_argument("--nginx-set", **many, metavar="NAME=VALUE", help="as nginx/render --set")

    down = verb("down", commands.down, "end the system and remove its files")
    down.add_argument("--keep-logs", action="store_true")
    return top


def main():
    args = parser().parse_args()
    ending.exit_on_signals()
    try:
        args.function(args)
    except Failed as failed:
        print(f"stack: {failed}", file=sys.stderr)
        return 1
    return 0
