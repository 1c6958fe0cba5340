"""nginx/render --doctor names each directive that disturbs Tailgate, with its file and line."""

import re
import subprocess

import pytest

from support.clients import fetch
from support.site import Site
from support.stack import ROOT

RENDER = str(ROOT / "nginx/render")


@pytest.fixture(scope="module")
def site(stack_with):
    return Site(stack_with({"limits.streams": 0}))


@pytest.fixture(scope="module")
def sound(site):
    """The output of `nginx -T` of a site without conflicts."""
    site.use()
    return site.whole_configuration()


def with_lines(dump, server="", http="", before="", mine="", main=""):
    """The dump with more directives, as if the site had a module that this machine lacks."""
    dump = dump.replace("        server_name localhost;", f"        server_name localhost;\n{server}", 1)
    dump = dump.replace("    map_hash_bucket_size 256;", f"    map_hash_bucket_size 256;\n{http}", 1)
    head, mark, rest = dump.rpartition("# Directives of nginx modules that Tailgate does not know")
    assert mark
    dump = head + mine + "\n" + mark + rest
    first, mark, rest = dump.partition("\n")
    dump = f"{first}{mark}{main}\n{rest}"
    place = re.compile(r"(?m)^( *include \S*/server\.conf;)$")
    return place.sub(lambda found: f"{before}\n{found[1]}", dump, count=1)


def place_of(dump, part):
    """ "file:line" of the first line of the dump that contains `part`."""
    file, number = "", 0
    for line in dump.splitlines():
        found = re.match(r"# configuration file (.*):$", line)
        if found:
            file, number = found[1], 0
            continue
        number += 1
        if part in line:
            return f"{file}:{number}"
    raise AssertionError(f"no {part!r}")


def test_a_site_without_conflicts_is_healthy(site, sound):
    assert site.doctor(sound)[0] == 0
    assert "Nothing disturbs Tailgate." in site.doctor(sound)[1]


def test_the_rendered_nginx_has_no_conflict_and_no_note(site):
    site.restore()
    assert site.doctor() == (0, "Nothing disturbs Tailgate.\n")


@pytest.mark.parametrize(
    "where, line, sentence",
    [
        ("before", "location ^~ /api/ { proxy_pass http://tailgate_ops; }", 'Remove ".~" from it'),
        ("before", "location ~ ^/api/jobs/ { return 204; }", "Include .*/server.conf above it"),
        (
            "before",
            "location /api/ { location ~ stream { return 204; } }",
            "requests of the routes events, status, log-stream",
        ),
        (
            "before",
            "location ~ ^/api/jobs/[A-Z]+/stream { return 204; }",
            "requests of the route status",
        ),
        ("server", "rewrite ^/(.*)$ /index.php?q=$1 last;", "also rewrites Tailgate's sub-request"),
        (
            "server",
            "if (!-e $request_filename) { rewrite ^ /index.php last; }",
            "may hold for Tailgate's sub-request",
        ),
        ("server", "if ($uri !~ ^/(api|static)/) { return 403; }", "may hold for Tailgate's sub-request"),
        ("server", 'if ($args = "") { return 403; }', "may hold for Tailgate's sub-request"),
        ("server", 'add_header Access-Control-Allow-Origin "*";', "adds a second Access-Control-Allow-Origin"),
        ("http", 'add_header Cache-Control "public";', "sets cache-control, which Tailgate's answers have already"),
        (
            "server",
            "more_set_headers 'Cache-Control: public';",
            "replaces cache-control in Tailgate's answers",
        ),
        ("server", 'auth_pam "staging"; auth_pam_service_name nginx;', "`auth_pam off;` into .*/site.conf"),
        ("server", 'auth_ldap "staging";', "`auth_ldap off;` into .*/site.conf"),
        ("server", "access_by_lua_block { local a = { b = '}' } -- }\n }", "runs twice for each request"),
        ("server", "rewrite_by_lua_file /etc/a.lua;", "also for Tailgate's sub-request"),
        ("server", "rewrite_by_lua_file /etc/a.lua;", "runs twice for each request"),
        ("server", "server_rewrite_by_lua_block { ngx.exit(403) }", "Let it return at once for the path"),
        ("server", r"if ($uri !~ ^/(?<part>\w+)/api/) { return 403; }", "may hold for Tailgate's sub-request"),
        ("server", "if ($request_filename !~ /api/) { return 403; }", "may hold for Tailgate's sub-request"),
        (
            "server",
            "if ($http_user_agent ~ Mobile) { rewrite ^/(?!api/)(.*)$ /m/$1 last; }",
            "may hold for Tailgate's sub-request",
        ),
        ("before", "location ~ ^/api/(?<rest>.*)$ { return 204; }", "Include .*/server.conf above it"),
        ("before", "location ~ ^/api/jobs/[[:alnum:]]+/logs$ { return 204; }", "of the route log-pages to"),
        ("before", r"location ~ ^/api/jobs/\d+/logs$ { return 204; }", "of the route log-pages to"),
        (
            "before",
            r'location ~ "^/api/jobs/[0-9a-f]{8}-[0-9a-f-]{27}/logs$" { return 204; }',
            "of the route log-pages to",
        ),
        ("server", "more_set_headers -s '200 404' 'Cache-Control: public';", "replaces cache-control"),
        ("server", "more_set_headers 'Server: x' 'Cache-Control: public';", "replaces cache-control"),
        ("server", "more_set_headers 'Access-Control-Allow-Origin: *';", "replaces access-control-allow-origin"),
        ("server", "more_clear_headers 'X-Accel-*' Server;", "removes x-accel-buffering"),
        ("server", "more_clear_headers 'Access-*';", "removes access-control-"),
        ("server", "more_clear_headers Vary;", "removes vary"),
        ("http", "brotli on; brotli_types text/event-stream application/json;", "compresses streams"),
        ("http", "brotli on; brotli_types *;", "`brotli off;` into .*/site.conf"),
        ("server", "subs_filter_types *; subs_filter a b;", "changes the bytes of streams"),
        ("server", "error_log /var/log/nginx/error.log info;", "they may contain tokens"),
        ("server", "large_client_header_buffers 4 8k;", "ends all HTTP/2 streams"),
        ("server", 'if ($uri ~ "^/(?!api/)") { return 403; }', "may hold for Tailgate's sub-request"),
        ("server", 'if ($uri = "/_tailgate/auth") { return 403; }', "may hold for Tailgate's sub-request"),
        ("server", "if ($uri !~ ^/(?i)api) { return 403; }", "may hold for Tailgate's sub-request"),
        ("server", r"if ($uri !~ ^/\Qapi\E) { return 403; }", "may hold for Tailgate's sub-request"),
        ("server", r"rewrite ^/\Qx\E /new;", "also rewrites Tailgate's sub-request"),
        ("server", "return 301 https://example.com;", "ends every request that reaches it"),
        ("server", "if ($uri ~ ^/api/) { break; } return 404;", "ends every request that reaches it"),
        (
            "server",
            "if ($scheme = https) { break; } if ($uri ~ ^/api/) { break; } return 404;",
            "ends every request that reaches it",
        ),
        ("server", "break; server_rewrite_by_lua_block { ngx.exit(403) }", "Let it return at once for the path"),
        (
            "server",
            "if ($uri ~ ^/api/) { break; } if ($http_x) { return 403; }",
            "may hold for Tailgate's sub-request",
        ),
        (
            "server",
            "if ($uri ~ ^/(?<seg>[^/]+)) { set $x 1; } if ($seg != api) { return 403; }",
            "may hold for Tailgate's sub-request",
        ),
        ("server", "# /_tailgate\nserver_rewrite_by_lua_block { ngx.exit(403) }", "Let it return at once for the path"),
        ("before", "location ~ ^/api/jobs/[[:lower:]]/logs$ { return 204; }", "of the route log-pages to"),
        ("before", "location ~ ^/api/jobs/[^[:space:]]+/logs$ { return 204; }", "of the route log-pages to"),
        ("before", "location ~ ^/api/jobs/[[:graph:]]+/logs$ { return 204; }", "of the routes .*log-pages"),
        ("before", "location ~ ^(.+)/$ { return 301 $1; }", "of the route job to"),
        ("before", "location /api/ { location ~ stream { return 204; } }", r"stream`\. Choose an expression"),
        ("before", "location ^~ /api/ { location ~ stream { return 204; } }", r"stream`\. Choose an expression"),
        ("before", "location ^~ /api/ { location /api/jobs/ { return 204; } }", 'Remove ".~" from `location .~ /api/`'),
        ("before", "location ~ ^/api/ { location ~ stream { return 204; } }", "Include .*/server.conf above it"),
    ],
)
def test_the_doctor_names_a_conflict_with_its_place_and_its_remedy(site, sound, where, line, sentence):
    status, output = site.doctor(dump := with_lines(sound, **{where: line}))
    assert status == 1, output
    lines = [one for one in output.splitlines() if not one.startswith("note: ")]
    place = place_of(dump, next(one for one in line.splitlines() if not one.startswith("#"))[:40])
    assert all(one.startswith(place + ": ") for one in lines), output
    assert any(re.search(sentence, one) for one in lines), output
    assert all(one.endswith(".") for one in lines)


@pytest.mark.parametrize(
    "where, line",
    [
        ("before", "location /api/ { proxy_pass http://tailgate_ops; }"),
        ("before", r"location ~* \.(js|css)$ { expires 1y; }"),
        ("before", "location ^~ /static/ { expires 1y; }"),
        ("server", "rewrite ^/v2/(.*)$ /$1;"),
        ("server", "if ($scheme = http) { return 301 https://$host$request_uri; }"),
        ("server", "if ($request_uri !~ ^/api/) { return 404; }"),
        ("server", "if ($uri ~ ^/old) { return 410; }"),
        ("server", 'add_header Strict-Transport-Security "max-age=1" always;'),
        ("server", 'auth_basic "x"; auth_basic_user_file /x; satisfy any; allow 10.0.0.0/8; deny all;'),
        ("http", "brotli on; brotli_types application/javascript;"),
        ("http", "gzip on; gzip_types *; sub_filter_types *;"),
        ("server", "log_by_lua_block { return }"),
        ("server", "error_log /var/log/nginx/error.log error;"),
        ("server", "if ($uri !~ ^/api/) { rewrite ^/old/(.*)$ /new/$1; }"),
        ("server", "set $shut 0; if ($uri ~ ^/admin) { set $shut 1; } if ($shut) { return 403; }"),
        ("server", "set $shut 0; if ($http_x_shut) { set $shut 1; } if ($shut) { return 503; }"),
        ("server", "if (-f /etc/maintenance) { return 503; }"),
        ("server", "access_by_lua_no_postpone on;"),
        ("server", "more_clear_headers Server;"),
        ("server", "server_rewrite_by_lua_block { if ngx.var.uri:sub(1, 10) == '/_tailgate' then return end }"),
        ("server", 'if ($uri !~ "^/(api|_tailgate)/") { return 403; }'),
        ("server", 'if ($args !~ "^$") { return 403; }'),
        ("server", "if ($uri ~ ^/(api|_tailgate)/) { break; } return 404;"),
        ("server", "break; return 404;"),
        ("server", "if ($scheme = https) { break; } return 301 https://$host$request_uri;"),
        ("server", "if ($uri ~ ^/api/) { set $ok 1; } if ($ok != 1) { return 403; }"),
        ("server", "set $m ${uri}; if ($m ~ ^/old) { return 403; }"),
        ("server", "set $m $arg_x; if ($m) { return 403; }"),
        ("server", "set $m $uri; set $m 0; if ($http_x) { set $m 1; } if ($m) { return 403; }"),
        ("server", "if ($uri ~ ^/api/(?<seg>[^/]+)) { set $x 1; } if ($seg != jobs) { return 403; }"),
        ("server", "if (!-f $realpath_root/up) { return 503; }"),
        ("server", "log_by_lua_block { local s = [=[ } ]=] --[==[ } ]==]\n }"),
        ("server", "more_set_headers 'Server: x'; add_header Vary Accept-Language;"),
    ],
)
def test_the_doctor_says_nothing_against_a_rule_that_holds_as_for_other_locations(site, sound, where, line):
    status, output = site.doctor(with_lines(sound, **{where: line}))
    assert status == 0, output


@pytest.mark.parametrize(
    "line, off",
    [
        ("brotli on; brotli_types *;", "brotli off;"),
        ('auth_pam "staging";', "auth_pam off;"),
        ("access_by_lua_block { ngx.exit(403) }", "access_by_lua_block { return }"),
        ("access_by_lua_file /etc/a.lua;", "access_by_lua_block { return }"),
        ("rewrite_by_lua_file /etc/a.lua;", "rewrite_by_lua_block { return }"),
        ("srcache_fetch GET /cache;", "srcache_fetch GET /_none;"),
        ("subs_filter_types *; subs_filter a b;", "subs_filter_types text/x-none;"),
    ],
)
def test_site_conf_turns_off_a_module_that_the_server_block_has_turned_on(site, sound, line, off):
    assert site.doctor(with_lines(sound, server=line))[0] == 1
    assert site.doctor(with_lines(sound, server=line, mine=off))[0] == 0


@pytest.fixture(scope="module")
def with_forms(sound):
    """The dump of a site with a route for numbers and one for UUIDs."""
    route = '# route {0}: /api/{0}s/{{id}} (id: {1})\nlocation ~ "^/api/{0}s/[^/]+\\z" {{ set $tg_route {0}; }}\n'
    place = re.compile(r"(?m)^(?=# route )")
    return place.sub(lambda _: route.format("number", "int") + route.format("upload", "uuid"), sound, count=1)


@pytest.mark.parametrize(
    "location, route",
    [(r"^/api/numbers/\d+$", "number"), ('"^/api/uploads/[0-9a-f-]{36}$"', "upload")],
)
def test_a_location_for_all_ids_of_a_route_for_numbers_or_uuids_is_found(site, with_forms, location, route):
    status, output = site.doctor(with_lines(with_forms, before=f"location ~ {location} {{ return 200; }}"))
    assert status == 1, output
    assert f"requests of the route {route} to `location" in output


def test_a_location_for_what_is_no_id_of_a_route_for_numbers_is_no_conflict(site, with_forms):
    before = "location ~ ^/api/(number|upload)s/[a-z]+$ { return 200; } location = /api/numbers/newest { return 200; }"
    status, output = site.doctor(with_lines(with_forms, before=before))
    assert status == 0, output


@pytest.mark.parametrize(
    "lines",
    [
        "set $block 1; if ($uri ~ ^/api/) { set $block 0; }\nif ($block) { return 403; }",
        "set $mine $uri;\nif ($mine !~ ^/api) { return 403; }",
        "if ($uri !~ ^/api) { set $shut 1; }\nif ($shut) { return 403; }",
    ],
)
def test_the_doctor_follows_variables_that_depend_on_the_path(site, sound, lines):
    status, output = site.doctor(dump := with_lines(sound, server=lines))
    assert status == 1
    assert output.startswith(f"{place_of(dump, lines.splitlines()[1])}: `if"), output
    # The doctor is right: the site serves the path of the route, and nginx cannot ask Tailgate.
    site.use(lines)
    answer = fetch(site.stack, "/api/jobs/x/logs", headers=site.stack.bearer(), via="plain")
    assert answer.status == 503


def test_the_doctor_names_a_rewrite_that_spares_the_routes_and_takes_the_sub_request(site, sound):
    line = "if ($http_user_agent ~ Mobile) { rewrite ^/(?!api/)(.*)$ /m/$1 last; }"
    assert site.doctor(with_lines(sound, server=line))[0] == 1
    # The doctor is right: a phone is refused although its token is good.
    site.use(line)
    for agent, status in (("Mobile", 401), ("Desktop", 404)):
        headers = {"User-Agent": agent, **site.stack.bearer()}
        assert fetch(site.stack, "/api/jobs/none/logs", headers=headers, via="plain").status == status


def test_the_doctor_follows_a_map_that_nginx_evaluates_again_for_the_sub_request(site, sound):
    maps = "map $path $shut { volatile; default 1; ~^/api 0; } map $uri $path { volatile; default $uri; }"
    lines = {"http": maps, "server": "if ($shut) { return 403; }"}
    assert site.doctor(with_lines(sound, **lines))[0] == 1
    once = {**lines, "http": lines["http"].replace("volatile;", "")}
    assert site.doctor(with_lines(sound, **once))[0] == 0


def test_the_doctor_names_a_location_once_for_all_routes_that_it_hides(site, sound):
    output = site.doctor(with_lines(sound, before="location ^~ /api/ { return 204; }"))[1]
    assert output.count("location ^~ /api/") == 1
    assert "of the routes events, status, log-stream, log-pages, " in output


def test_a_pattern_of_an_include_does_not_take_files_in_folders_below(site, sound):
    folder = "/etc/nginx/snippets"
    file = f"{folder}/cors/on.conf"
    text = f'# configuration file {file}:\nadd_header Cache-Control "public";\n'
    lines = with_lines(sound, server=f"include {folder}/*.conf;") + "\n"
    assert site.doctor(lines + text)[0] == 0
    assert site.doctor(lines + text.replace("/cors", ""))[0] == 1
    # The include in on.conf does not match on.conf, which lies in a folder below.
    assert site.doctor(lines + text + f"include {folder}/*.conf;\n")[0] == 0


def test_the_default_server_of_the_address_needs_large_header_buffers_too(site, sound):
    port = site.stack.facts["nginx_port"]
    size = "large_client_header_buffers 4 64k;"
    sound = sound.replace(size, "", 1)
    others = {
        f"127.0.0.1:{port} ssl": 1,
        f"127.0.0.1:{port - 1}-{port}": 1,
        f"127.0.0.2:{port}": 0,
        f"[::]:{port}": 0,
        f"{port}": 0,
        "127.0.0.1:1": 0,
        "unix:/x": 0,
    }
    for listen, status in others.items():
        other = f"server {{ listen {listen}; return 204; }}"
        dump = with_lines(sound, http=other, server=size)
        assert site.doctor(dump)[0] == status, listen
        if status:
            assert site.doctor(dump)[1].startswith(place_of(dump, other) + ": a header line may have only 8 KB")


@pytest.mark.parametrize(
    "line, sentence",
    [
        ("modsecurity on;", "`modsecurity off;` into .*/site.conf"),
        ("body_filter_by_lua_file /etc/a.lua;", "also runs for the answers of Tailgate"),
        ("server_rewrite_by_lua_file /etc/a.lua;", "return at once for the path"),
        (
            'auth_basic "x"; auth_basic_user_file /x;',
            "send its token for the routes events, status, log-stream, log-pages",
        ),
        ('auth_basic "x"; auth_basic_user_file /x;', "the error log has no line about it"),
    ],
)
def test_the_doctor_notes_what_it_cannot_decide(site, sound, line, sentence):
    status, output = site.doctor(with_lines(sound, server=line))
    assert status == 0
    assert re.search(f"(?im)^note: .*{sentence}", output), output


def test_the_doctor_notes_limits_that_an_event_source_does_not_survive(site, sound):
    more = {"http": "limit_req_zone $binary_remote_addr zone=z:1m rate=1r/s;", "server": "limit_req zone=z; deny all;"}
    status, output = site.doctor(with_lines(sound, **more))
    assert status == 0
    assert re.search(r"(?m)^note: .*`limit_req zone=z` .*never reconnects\.$", output)
    assert re.search(r"(?m)^note: .*`deny all` holds for /readyz too, so a load balancer's health check", output)


def test_the_doctor_reads_the_configuration_from_a_file_and_from_its_standard_input(site, sound, tmp_path):
    file = tmp_path / "dump"
    file.write_text(sound)
    done = subprocess.run([RENDER, "--doctor", file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == site.doctor(sound)


def test_the_doctor_refuses_files_that_an_older_render_has_made(site, sound):
    status, output = site.doctor(re.sub(r"(?m)^(# route .*) \(id: .*\)$", r"\1", sound))
    assert status == 2
    assert "server.conf was rendered by an older version" in output


@pytest.mark.parametrize(
    "dump, sentence",
    [
        ("nonsense", 'no output of "nginx -T"'),
        (
            "# configuration file /etc/nginx/nginx.conf:\nhttp { server { listen 80; } }\n",
            "includes Tailgate's server.conf",
        ),
        ("# configuration file /etc/nginx/nginx.conf:\nhttp { server {\n", "/etc/nginx/nginx.conf: ends without"),
    ],
)
def test_the_doctor_refuses_a_text_that_is_no_configuration_of_tailgate(site, dump, sentence):
    status, output = site.doctor(dump)
    assert status == 2
    assert sentence in output
