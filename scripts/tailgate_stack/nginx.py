"""The stack's nginx.  nginx/render makes its configuration, as on a real host."""

import os
import resource
import socket
from pathlib import Path

from tailgate_stack import ROOT
from tailgate_stack.processes import child_env, run
from tailgate_stack.state import start, wait_for


def site_values(stack, tls, https, plain, application):
    """The values for nginx/render --set."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    directory, run_dir, log_dir = Path(stack["dir"]), Path(stack["run_dir"]), Path(stack["log_dir"])
    return {
        "TG_LISTEN_TLS": f"127.0.0.1:{https}",
        "TG_LISTEN_PLAIN": f"127.0.0.1:{plain}",
        "TG_SERVER_NAME": "localhost",
        "TG_CERTIFICATE": tls / "cert.pem",
        "TG_CERTIFICATE_KEY": tls / "key.pem",
        "TG_STREAMS": " ".join("unix:" + path for path in stack["gateway_sockets"]),
        "TG_AUTH": " ".join("unix:" + path for path in stack["auth_sockets"]),
        "TG_OPS": " ".join(url.removeprefix("http://") for url in stack["ops_urls"]),
        "TG_APPLICATION": application,
        "TG_CA_FILE": tls / "ca.pem",
        "TG_RESOLVER": "off",
        "TG_USER": "root" if os.getuid() == 0 else "",
        "TG_WORKERS": "1",
        "TG_WORKER_CONNECTIONS": str(min(32768, max(512, hard - 1024))),
        "TG_SHUTDOWN_TIMEOUT": "10s",
        "TG_PID": run_dir / "nginx.pid",
        "TG_TEMP": directory / "temp",
        "TG_ACCESS_LOG": stack["access_log"],
        "TG_ERROR_LOG": log_dir / "nginx-error.log",
    }


def make_nginx(stack, args, tls, https, plain, settings, gateway_env):
    """Renders the configuration and starts nginx.  The gateways may start later: nginx answers for them meanwhile."""
    directory = Path(stack["dir"])
    stack["nginx_port"], stack["nginx_port_plain"] = https, plain
    stack["base_url"] = f"https://localhost:{https}"
    stack["plain_url"] = f"http://localhost:{plain}"
    stack["access_log"] = str(Path(stack["log_dir"]) / "nginx-access.log")
    stack["nginx_dir"] = str(directory / "nginx")
    command = [str(ROOT / "nginx/render"), "--config", stack["config"], "--out", stack["nginx_dir"]]
    command += ["--tailgate", stack["binary"]]
    for name, value in site_values(stack, tls, https, plain, args.application).items():
        command += ["--set", f"{name}={value}"]
    for pair in args.nginx_set:
        command += ["--set", pair]
    for pair in settings:
        command += ["--gateway-set", pair]
    stack["nginx_render"] = {"command": command, "env": child_env(gateway_env)}
    render_nginx(stack)
    start_nginx(stack)


def render_nginx(stack):
    """Renders the configuration again and runs `nginx -t` on it."""
    run(stack["nginx_render"]["command"], env=stack["nginx_render"]["env"])
    run(nginx_command(stack) + ["-t", "-q"], env=child_env({}))


def nginx_command(stack):
    conf = Path(stack["dir"]) / "nginx" / "nginx.conf"
    log = Path(stack["log_dir"]) / "nginx-error.log"
    return ["nginx", "-p", stack["dir"], "-e", str(log), "-c", str(conf), "-g", "daemon off;"]


def start_nginx(stack):
    run_dir = Path(stack["run_dir"])
    for path in [*run_dir.glob("leg-*.sock"), *run_dir.glob("nginx-*.sock")]:
        path.unlink()  # an nginx that was killed leaves its sockets behind, and the next one could not bind them
    process = start(stack, "nginx", nginx_command(stack), child_env({}))
    wait_for(stack, "nginx", process.poll, lambda: accepts(stack["nginx_port"]), 10, "listening")


def accepts(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
