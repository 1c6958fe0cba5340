"""nginx/render --doctor names each directive that disturbs Tailgate, with its file and line."""

import re
import subprocess

import pytest

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
        ("before", "location ^~ /api/ { proxy_pass http://tailgate_ops; }", "Write it without"),
        ("before", "location ~ ^/api/jobs/ { return 204; }", "Include .*/server.conf above it"),
        ("before", "location /api/ { location ~ stream { return 204; } }", "takes requests of the route events"),
        (
            "before",
            "location ~ ^/api/jobs/[A-Z]+/stream { return 204; }",
            "takes requests of the route status, for example /api/jobs/X/stream",
        ),
        ("server", "rewrite ^/(.*)$ /index.php?q=$1 last;", "also rewrites Tailgate's sub-request"),
        (
            "server",
            "if (!-e $request_filename) { rewrite ^ /index.php last; }",
            "is also true for Tailgate's sub-request",
        ),
        ("server", "if ($uri !~ ^/(api|static)/) { return 403; }", "is also true for Tailgate's sub-request"),
        ("server", 'if ($args = "") { return 403; }', "is also true for Tailgate's sub-request"),
        ("server", 'add_header Access-Control-Allow-Origin "*";', "adds a second Access-Control-Allow-Origin"),
        ("http", 'add_header Cache-Control "public";', "adds a header that Tailgate's answers have already"),
        ("server", "more_set_headers 'Cache-Control: public';", "adds a header that Tailgate's answers have already"),
        ("server", 'auth_pam "staging"; auth_pam_service_name nginx;', "`auth_pam off;` into .*/site.conf"),
        ("server", 'auth_ldap "staging";', "`auth_ldap off;` into .*/site.conf"),
        ("server", "access_by_lua_block { local a = { b = '}' } -- }\n }", "runs a second time"),
        ("server", "rewrite_by_lua_file /etc/a.lua;", "also for Tailgate's sub-request"),
        ("http", "body_filter_by_lua_file /etc/a.lua;", "changes the answers of Tailgate"),
        ("server", "modsecurity on;", "`modsecurity off;` into .*/site.conf"),
        ("http", "brotli on; brotli_types text/event-stream application/json;", "compresses streams"),
        ("http", "brotli on; brotli_types *;", "`brotli off;` into .*/site.conf"),
        ("server", "subs_filter_types *; subs_filter a b;", "changes the bytes of streams"),
        ("server", "error_log /var/log/nginx/error.log info;", "they may contain tokens"),
        ("server", "large_client_header_buffers 4 8k;", "ends all HTTP/2 streams"),
    ],
)
def test_the_doctor_names_a_conflict_with_its_place_and_its_remedy(site, sound, where, line, sentence):
    status, output = site.doctor(dump := with_lines(sound, **{where: line}))
    assert status == 1, output
    lines = [one for one in output.splitlines() if not one.startswith("note: ")]
    assert all(one.startswith(place_of(dump, line.splitlines()[0][:40]) + ": ") for one in lines), output
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
    ],
)
def test_the_doctor_says_nothing_against_a_rule_that_holds_as_for_other_locations(site, sound, where, line):
    status, output = site.doctor(with_lines(sound, **{where: line}))
    assert status == 0, output


@pytest.mark.parametrize(
    "line, off",
    [
        ("brotli on; brotli_types *;", "brotli off;"),
        ("modsecurity on;", "modsecurity off;"),
        ('auth_pam "staging";', "auth_pam off;"),
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
    "location, example",
    [
        (r"^/api/numbers/\d+$", "/api/numbers/7"),
        ('"^/api/uploads/[0-9a-f-]{36}$"', "/api/uploads/123e4567-e89b-12d3-a456-426614174000"),
    ],
)
def test_a_location_for_all_ids_of_a_route_for_numbers_or_uuids_is_found(site, with_forms, location, example):
    status, output = site.doctor(with_lines(with_forms, before=f"location ~ {location} {{ return 200; }}"))
    assert status == 1, output
    assert f", for example {example}. Include " in output


def test_a_location_for_what_is_no_id_of_a_route_for_numbers_is_no_conflict(site, with_forms):
    before = "location ~ ^/api/(number|upload)s/[a-z]+$ { return 200; } location = /api/numbers/newest { return 200; }"
    status, output = site.doctor(with_lines(with_forms, before=before))
    assert status == 0, output


def test_the_doctor_notes_limits_that_an_event_source_does_not_survive(site, sound):
    more = {"http": "limit_req_zone $binary_remote_addr zone=z:1m rate=1r/s;", "server": "limit_req zone=z; deny all;"}
    status, output = site.doctor(with_lines(sound, **more))
    assert status == 0
    assert re.search(r"(?m)^note: .*`limit_req zone=z` .*never reconnects\.$", output)
    assert re.search(r"(?m)^note: .*`deny all` holds for /readyz too", output)


def test_the_doctor_reads_the_configuration_from_a_file_and_from_its_standard_input(site, sound, tmp_path):
    file = tmp_path / "dump"
    file.write_text(sound)
    done = subprocess.run([RENDER, "--doctor", file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == site.doctor(sound)


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
