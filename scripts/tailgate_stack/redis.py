"""The stack's private redis-server."""

import socket
from pathlib import Path

from tailgate_stack.processes import child_env
from tailgate_stack.state import start, wait_for


def answers(path):
    """True if a Redis answers at the unix socket `path`, even one that demands a password."""
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(1)
            link.connect(path)
            link.sendall(b"PING\r\n")
            return link.recv(64).startswith((b"+PONG", b"-NOAUTH", b"-NOPERM"))
    except OSError:
        return False


def start_redis(stack, env):
    """Starts redis-server with DIR/redis.conf and waits until it answers."""
    process = start(stack, "redis", ["redis-server", str(Path(stack["dir"]) / "redis.conf")], env)
    wait_for(stack, "redis", process.poll, lambda: answers(stack["redis_socket"]), 10, "answering")


def make_redis(stack, tls, tls_port, more):
    """Writes DIR/redis.conf with the lines `more` at its end, and starts the server.
    `tls_port` is None or the port of a TLS listener."""
    directory = Path(stack["dir"])
    stack["redis_socket"] = str(Path(stack["run_dir"]) / "redis.sock")
    stack["redis_url"] = f"unix://{stack['redis_socket']}"
    (directory / "redis").mkdir(mode=0o700)
    lines = [
        "port 0",
        f"unixsocket {stack['redis_socket']}",
        "unixsocketperm 700",
        f"dir {directory / 'redis'}",
        'save ""',
        "appendonly no",
        "daemonize no",
        "tcp-backlog 511",
    ]
    if tls_port:
        lines += [
            f"tls-port {tls_port}",
            "bind 127.0.0.1",
            f"tls-cert-file {tls / 'cert.pem'}",
            f"tls-key-file {tls / 'key.pem'}",
            f"tls-ca-cert-file {tls / 'ca.pem'}",
            "tls-auth-clients no",
        ]
    (directory / "redis.conf").write_text("\n".join(lines + more) + "\n")
    start_redis(stack, child_env({}))
