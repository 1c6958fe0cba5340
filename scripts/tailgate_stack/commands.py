"""The commands of scripts/stack: up, restart, reload and down."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import tempfile
import tomllib
from pathlib import Path

from tailgate_stack import ROOT, Failed, gateway, nginx, redis, state
from tailgate_stack.keys import make_certificates, make_providers
from tailgate_stack.ports import pick_ports, release_ports
from tailgate_stack.processes import end, send


def read_config(path, settings):
    """The gateway's configuration file as a dict, with the --set pairs applied."""
    try:
        with open(path, "rb") as file:
            tree = tomllib.load(file)
    except OSError as error:
        raise Failed(f"{path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise Failed(f"{path}: {error}") from error
    for pair in settings:
        key, equals, text = pair.partition("=")
        if not equals:
            raise Failed(f"--set {pair}: must be key=value")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        *parents, last = key.split(".")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return tree


def short_run_dir(directory):
    """The folder of the sockets: DIR/run, or one in /tmp if a socket's path there would exceed 108 bytes."""
    if len(str(directory)) <= 70:
        return directory / "run"
    return Path(tempfile.gettempdir()) / f"tailgate-{hashlib.sha256(str(directory).encode()).hexdigest()[:12]}"


def up(args):
    """Starts a stack and prints it.  After a failure, ends what it has started so far."""
    directory = Path(args.dir).resolve()
    if (directory / "stack.json").exists():
        raise Failed(f"{directory} has a stack already: scripts/stack down --dir {args.dir}")
    run_dir = short_run_dir(directory)
    for options in (args.set, args.env, args.nginx_set, args.redis_conf):
        options[:] = [text.replace("{run}", str(run_dir)) for text in options]
    args.gateway_redis = args.gateway_redis and args.gateway_redis.replace("{run}", str(run_dir))
    config = Path(args.config).resolve()
    toml = read_config(config, args.set)
    binary = Path(args.binary or os.environ.get("TAILGATE_BINARY") or ROOT / "build/release/tailgate").resolve()
    if not os.access(binary, os.X_OK):
        raise Failed(f"{binary} is missing: make build")
    stack = state.new(directory, run_dir, config, binary, args)
    directory.mkdir(parents=True, exist_ok=True)
    try:
        for path in (run_dir, directory / "logs", directory / "keys", directory / "temp"):
            path.mkdir(mode=0o700)
        bring_up(args, stack, toml)
    except BaseException:
        with contextlib.suppress(Failed):
            take_down(stack, keep_logs=args.keep_logs_on_failure)
        raise
    print(json.dumps(state.public(stack), indent=1))


def bring_up(args, stack, toml):
    """Starts Redis, nginx and the gateways, in this order."""
    directory, run_dir = Path(stack["dir"]), Path(stack["run_dir"])
    tls = directory / "tls"
    stack["ports"] = pick_ports(3 + args.instances, directory)
    state.save(stack)
    https, plain, redis_tls, *ops = stack["ports"]
    make_certificates(tls)
    stack["ca_file"] = str(tls / "ca.pem")

    if args.redis:
        stack["redis_url"] = args.redis
    else:
        redis.make_redis(stack, tls, redis_tls if args.redis_tls else None, args.redis_conf)
    settings, gateway_env = configure_gateways(args, stack, toml, redis_tls)

    stack["gateway_sockets"] = [str(run_dir / f"streams-{i}.sock") for i in range(args.instances)]
    stack["auth_sockets"] = [str(run_dir / f"auth-{i}.sock") for i in range(args.instances)]
    stack["ops_urls"] = [f"http://127.0.0.1:{port}" for port in ops]
    stack["identity_key_file"] = gateway_env["TAILGATE_IDENTITY_KEY_FILE"]
    stack["plain_url"] = stack["base_url"] = None
    if not args.no_nginx:
        nginx.make_nginx(stack, args, tls, https, plain, settings, gateway_env)
    gateway.make_gateways(stack, args.instances, settings, gateway_env)
    state.save(stack)


def configure_gateways(args, stack, toml, redis_tls):
    """The --set pairs and the environment of all gateways."""
    keys, run_dir = Path(stack["dir"]) / "keys", Path(stack["run_dir"])
    env = {}
    gateway_redis = args.gateway_redis
    if args.redis_tls:
        gateway_redis = gateway_redis or f"rediss://localhost:{redis_tls}"
        env["TAILGATE_REDIS_LEG"] = f"unix:{run_dir / 'leg-redis.sock'}"
    env["TAILGATE_REDIS_URL"] = gateway_redis or stack["redis_url"]
    if "url_env" in toml.get("redis", {}):
        env[toml["redis"]["url_env"]] = env["TAILGATE_REDIS_URL"]
    env["TAILGATE_IDENTITY_KEY_FILE"] = str(keys / "identity.key")

    settings, provider_env = make_providers(stack, toml, keys)
    env.update(provider_env)
    # The examples put the socket of the application's leg into /run/tailgate.  A stack puts it into its run folder.
    for name, record in toml.get("record", {}).items():
        if record.get("kind") == "http" and str(record.get("target", "")).startswith("unix:/run/tailgate/"):
            settings.append(f"record.{name}.target={json.dumps(f'unix:{run_dir}/leg-application.sock')}")
    settings += args.set
    for pair in args.env:
        name, equals, value = pair.partition("=")
        if not equals:
            raise Failed(f"--env {pair}: must be NAME=VALUE")
        env[name] = value
    return settings, env


def load_stack(args):
    stack = state.load(args.dir)
    if stack is None:
        raise Failed(f"there is no stack in {args.dir}")
    return stack


def restart(args):
    """Restarts each of the named servers and prints the stack."""
    stack = load_stack(args)
    signals = [] if args.kill else [(signal.SIGTERM, 10)]
    for server in args.what or ["gateway"]:
        if server == "gateway":
            gateway.restart_gateways(stack, args.kill, args.wait)
        elif server not in stack["processes"]:
            raise Failed(
                f"this stack did not start its {server} itself" if server == "redis" else "this stack has no nginx"
            )
        else:
            entry = stack["processes"][server]
            end(entry, signals)
            redis.start_redis(stack, entry["env"]) if server == "redis" else nginx.start_nginx(stack)
    print(json.dumps(state.public(stack), indent=1))


def reload(args):
    """Tells each of the named servers to read its configuration again, and prints the stack."""
    stack = load_stack(args)
    for server in args.what or ["nginx"]:
        if server == "gateway":
            gateway.reload_gateways(stack)
            continue
        for pair in args.nginx_set:
            stack["nginx_render"]["command"] += ["--set", pair]
        nginx.render_nginx(stack)
        state.save(stack)
        send(stack["processes"]["nginx"]["pid"], signal.SIGHUP)
    print(json.dumps(state.public(stack), indent=1))


def take_down(stack, keep_logs=False):
    """Ends the stack's processes and removes its files.  A sanitizer's report in a gateway's log is a failure."""
    quick = [(signal.SIGTERM, 3)]
    processes = stack["processes"]
    if "nginx" in processes:
        end(processes["nginx"], quick)
    gateway.end_gateways(stack)
    for name in ("keeper", "redis"):
        if name in processes:
            end(processes[name], quick)
    reports = gateway.sanitizer_reports(stack)
    directory = Path(stack["dir"])
    for name in ("keys", "tls", "nginx", "redis", "temp"):
        shutil.rmtree(directory / name, ignore_errors=True)
    shutil.rmtree(stack["run_dir"], ignore_errors=True)
    for name in ("redis.conf", "stack.json", "stack.new"):
        (directory / name).unlink(missing_ok=True)
    release_ports(stack["ports"])
    if not keep_logs:
        shutil.rmtree(stack["log_dir"], ignore_errors=True)
        if stack["made_dir"]:
            with contextlib.suppress(OSError):
                directory.rmdir()
    if reports:
        raise Failed("a gateway's log has a sanitizer's report:\n" + "\n".join(reports))


def down(args):
    """Ends the stack, if there is one."""
    stack = state.load(args.dir)
    if stack is not None:
        take_down(stack, args.keep_logs)
