"""Somebody else's nginx: its server block has rules of its own and includes the files that nginx/render has made."""

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

from support.stack import ROOT
from support.waiting import wait_until

SITE = """
http {{
    map_hash_bucket_size 256;
    large_client_header_buffers 4 64k;
    client_body_temp_path {temp}/body;
    proxy_temp_path {temp}/proxy;
    fastcgi_temp_path {temp}/fastcgi;
    uwsgi_temp_path {temp}/uwsgi;
    scgi_temp_path {temp}/scgi;
    access_log {logs}/site-access.log combined;
    proxy_cache_path {temp}/cache keys_zone=site:1m;
    {http}
    include {nginx}/http.conf;
    server {{
        listen 127.0.0.1:{plain};
        listen 127.0.0.1:{tls} ssl http2;
        server_name localhost;
        ssl_certificate {tls_dir}/cert.pem;
        ssl_certificate_key {tls_dir}/key.pem;
        {server}
        {before}
        include {nginx}/server.conf;
        location / {{
            return 200 "the site";
        }}
        location = /page {{
            root {temp};
            try_files /page =500;
        }}
    }}
}}
"""

# Each of these directives would buffer, change, delay or cut a stream if the routes inherited it.
DISTURBING = {
    "gzip": "gzip on; gzip_types *; gzip_min_length 0; gzip_vary on;",
    "sub_filter": 'sub_filter_types *; sub_filter_once off; sub_filter "n=" "m="; sub_filter "data" "date";',
    "ssi": "ssi on; ssi_types *;",
    "charset": "charset koi8-r; charset_types *;",
    "expires": "expires 1h;",
    "slice": "slice 1k;",
    "addition": "add_before_body /page; add_after_body /page; addition_types *;",
    "nagle": "tcp_nodelay off; tcp_nopush on; postpone_output 60000;",
    "chunked": "chunked_transfer_encoding off;",
    "proxy_buffering": "proxy_buffering off; proxy_request_buffering off; proxy_buffers 64 64k; proxy_buffer_size 64k;"
    " proxy_busy_buffers_size 256k;",
    "proxy_ignore_headers": "proxy_ignore_headers X-Accel-Buffering; proxy_buffering on;",
    "proxy_http_version": "proxy_http_version 1.0;",
    "proxy_set_header": 'proxy_set_header X-Tailgate-Identity forged; proxy_set_header Authorization "";'
    " proxy_set_header Connection close;",
    "proxy_set_body": 'proxy_set_body "a body"; proxy_pass_request_headers off;',
    "proxy_intercept_errors": "proxy_intercept_errors on; error_page 401 404 /page;",
    "proxy_ignore_client_abort": "proxy_ignore_client_abort on;",
    "proxy_bind": "proxy_bind 127.0.0.1;",
    "proxy_limit_rate": "proxy_limit_rate 10;",
    "proxy_cookie": "proxy_redirect http:// https://; proxy_cookie_path / /x; proxy_cookie_domain a b;",
    "proxy_next_upstream": "proxy_next_upstream off; proxy_next_upstream_tries 1;",
    "proxy_timeouts": "proxy_read_timeout 1ms; proxy_connect_timeout 1ms; send_timeout 1s;",
    "proxy_hide_header": "proxy_hide_header Access-Control-Allow-Origin; proxy_hide_header Cache-Control;"
    " proxy_hide_header Content-Type; proxy_hide_header Allow;",
    "proxy_cache": "proxy_cache site; proxy_cache_valid any 1m;",
    "proxy_store": "proxy_store on;",
    "proxy_method": "proxy_method POST;",
    "proxy_temp_file": "proxy_buffers 8 2k; proxy_buffer_size 2k; proxy_busy_buffers_size 4k;"
    " proxy_temp_file_write_size 4k; proxy_max_temp_file_size 8k;",
    "userid": "userid on;",
    "access": 'auth_basic "staging"; auth_basic_user_file /none; satisfy any; allow 127.0.0.1; deny all;',
    "mirror": "mirror /mirror;",
    "http2_push": "http2_push_preload on;",
    "merge_slashes": "merge_slashes off;",
    "client_max_body_size": "client_max_body_size 0;",
    "underscores": "underscores_in_headers on; ignore_invalid_headers off;",
    "open_file_cache": "open_file_cache max=100; open_file_cache_errors on; disable_symlinks on;",
    "recursive_error_pages": "recursive_error_pages off; error_page 500 502 503 504 =200 /page;",
    "limit_rate": "limit_rate 1m; limit_rate_after 10;",
}


def workers(master):
    """{pid: title} of the worker processes."""
    pids = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    titles = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            titles[pid] = Path(f"/proc/{pid}/cmdline").read_text().strip("\0 ")
    return titles


# Debian's nginx is in /usr/sbin.
ENV = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"}


class Site:
    """Puts another server block in front of the gateway of a stack.  The stack's own nginx runs it."""

    def __init__(self, stack):
        self.stack = stack
        self.nginx_dir = Path(stack.facts["nginx_dir"])
        self.file = stack.dir / "site-nginx.conf"
        self.own = (self.nginx_dir / "nginx.conf").read_text()
        self.own_directives = (self.nginx_dir / "site.conf").read_text()

    def file_of_passwords(self, name="alice", password="secret"):
        """A file for auth_basic_user_file."""
        path = self.stack.dir / "passwords"
        path.write_text(f"{name}:{{PLAIN}}{password}\n")
        return path

    def text(self, server="", http="", before=""):
        temp = self.stack.dir / "temp"
        (temp / "page").write_text("a page of the site")
        return SITE.format(
            temp=temp,
            logs=self.stack.facts["log_dir"],
            nginx=self.nginx_dir,
            plain=self.stack.facts["nginx_port_plain"],
            tls=self.stack.facts["nginx_port"],
            tls_dir=self.stack.dir / "tls",
            http=http,
            server=server,
            before=before,
        )

    def use(self, server="", http="", before="", head="", mine=""):
        """Makes nginx serve with these directives: in the server block, in the http block, as locations above those of
        Tailgate, at the head of the file, and in the operator's site.conf."""
        (self.nginx_dir / "site.conf").write_text(self.own_directives + mine)
        top = self.own[: self.own.index("http {")]
        self.file.write_text(self.text(server, http, before))
        self._load(f"{head}\n{top}\ninclude {self.file};\n")

    def use_in_stream(self, lines):
        """Makes nginx serve with these directives in the stream block."""
        assert "stream {\n" in self.own
        self._load(self.own.replace("stream {\n", f"stream {{\n{lines}\n", 1))

    def restore(self):
        (self.nginx_dir / "site.conf").write_text(self.own_directives)
        self._load(self.own)

    def command(self, *more):
        """The command of the stack's own nginx, with more options."""
        log = Path(self.stack.facts["log_dir"]) / "nginx-error.log"
        conf = self.nginx_dir / "nginx.conf"
        return ["nginx", "-p", str(self.stack.dir), "-e", str(log), "-c", str(conf), *more]

    def _run(self, *more):
        done = subprocess.run(self.command(*more), capture_output=True, text=True, env=ENV, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _load(self, text):
        (self.nginx_dir / "nginx.conf").write_text(text)
        self._run("-t", "-q")
        before = set(workers(self.stack.nginx_pid))
        os.kill(self.stack.nginx_pid, signal.SIGHUP)

        def serves():
            titles = workers(self.stack.nginx_pid)
            old = [title for pid, title in titles.items() if pid in before]
            return set(titles) - before and all("shutting down" in title for title in old)

        wait_until(serves, 10, "nginx has taken the configuration")

    def whole_configuration(self):
        return self._run("-T", "-q")

    def doctor(self, dump=None):
        """(exit status, output) of nginx/render --doctor."""
        command = [str(ROOT / "nginx/render"), "--doctor", "-"]
        text = self.whole_configuration() if dump is None else dump
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout + done.stderr


def challenges(answer):
    return [value for name, value in answer.header_list if name.lower() == "www-authenticate"]


def line_of(text, part):
    """The number of the line that contains `part`."""
    return next(number for number, line in enumerate(text.splitlines(), 1) if re.search(part, line))
