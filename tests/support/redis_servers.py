"""Redis servers beside the one of a stack: Sentinels, nodes of a cluster, primaries with replicas, TLS ports.  Also
reads from deploy/README.md the rights of the gateway's user.

The servers listen on TCP ports of 127.0.0.1, because Redis replicates over TCP only.
"""

import contextlib
import re
import shlex
import subprocess
from pathlib import Path

import redis
from tailgate_stack import ports

from support.stack import ROOT
from support.waiting import wait_until


def command_of_readme():
    """The ACL SETUSER command in deploy/README.md."""
    text = (ROOT / "deploy/README.md").read_text()
    return re.search(r"redis-cli ACL SETUSER tailgate .*?\n(?=```)", text, re.DOTALL)[0]


def acl_of_readme():
    """The rules of that command, in the form of redis.conf: a name and its rules."""
    return " ".join(shlex.split(command_of_readme().replace("\\\n", ""))[3:])


class Server:
    """One redis-server.  `lines` are added to its configuration."""

    def __init__(self, folder, *lines, sentinel=False):
        self.folder = Path(folder)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.sentinel, self.tls = sentinel, None
        self.port, self.bus_port = ports.pick_ports(2, self.folder)
        self.lines = [line.replace("{bus_port}", str(self.bus_port)) for line in lines]
        self.process = None
        self.client = self._connect()
        self.start()

    def _connect(self):
        encrypted = {}
        if self.tls:
            encrypted = {"ssl": True, "ssl_ca_certs": str(self.tls / "ca.pem"), "ssl_check_hostname": False}
        return redis.Redis(
            port=self.port,
            decode_responses=True,
            encoding_errors="surrogateescape",
            client_name="test",
            **encrypted,
        )

    def use_tls(self, folder):
        """From the next start on, the port speaks only TLS.  `folder` holds cert.pem, key.pem and ca.pem."""
        self.tls = Path(folder)
        self.client.close()
        self.client = self._connect()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def start(self, *more):
        """Starts the server; `more` holds further lines for its configuration.  Does not wait while it loads data."""
        lines = ["port 0" if self.tls else f"port {self.port}", "bind 127.0.0.1", f"dir {self.folder}"]
        lines += [f"logfile {self.folder / 'redis.log'}"]
        if not self.sentinel:
            lines += ['save ""', "repl-diskless-sync-delay 0"]
        if self.tls:
            lines += [
                f"tls-port {self.port}",
                f"tls-cert-file {self.tls / 'cert.pem'}",
                f"tls-key-file {self.tls / 'key.pem'}",
                f"tls-ca-cert-file {self.tls / 'ca.pem'}",
                "tls-auth-clients no",
            ]
        file = self.folder / "redis.conf"
        file.write_text("\n".join([*lines, *self.lines, *more]) + "\n")
        program = ["redis-server", str(file), *(["--sentinel"] if self.sentinel else [])]
        # The kernel kills the server if the tests are killed.
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *program])
        wait_until(self.answers, 10, "redis-server answers")

    def answers(self):
        try:
            self.client.ping()
        except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
            return False
        except redis.exceptions.RedisError:
            pass  # for example LOADING or MASTERDOWN
        return True

    def follow(self, primary):
        """Makes this server a replica of `primary`, and waits until it has the data."""
        self.client.execute_command("REPLICAOF", "127.0.0.1", str(primary.port))
        wait_until(lambda: self.client.role()[0] == "slave" and self.client.role()[3] == "connected", 20, "replication")

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def end(self):
        self.stop()
        self.client.close()
        ports.release_ports([self.port, self.bus_port])


@contextlib.contextmanager
def servers(folder):
    """Yields start(*lines, **arguments of Server), which starts a server.  All servers end with the context."""
    started = []

    def start(*lines, **more):
        started.append(Server(Path(folder) / f"server-{len(started)}", *lines, **more))
        return started[-1]

    try:
        yield start
    finally:
        for server in started:
            server.end()


def make_cluster(start, *slots):
    """Starts one cluster node for each range of slots, for example (0, 8191), and joins the nodes."""
    nodes = [start("cluster-enabled yes", "cluster-port {bus_port}") for _ in slots]
    for node, (first, last) in zip(nodes, slots):
        node.client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
        node.client.execute_command("CLUSTER", "MEET", "127.0.0.1", str(nodes[0].port), str(nodes[0].bus_port))
    for node in nodes:
        wait_until(lambda node=node: state_of(node) == "ok", 20, "the cluster is complete")
    return nodes


def state_of(node):
    """cluster_state of CLUSTER INFO."""
    return node.client.execute_command("CLUSTER INFO")["cluster_state"]
