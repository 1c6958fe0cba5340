"""Keys with braces, two named segments, and ids of several forms, through nginx.  orgs.toml is the configuration."""

import re
import urllib.parse
import uuid
from pathlib import Path

import pytest

from support.application import Application
from support.clients import dial, fetch, open_stream, raw_answer, sealed
from support.seals import seal
from support.stack import Stack
from support.waiting import wait_until

CONFIG = Path(__file__).with_name("orgs.toml")
ways_in = pytest.mark.parametrize("http, via", [("1.1", "tls"), ("2", "tls"), ("1.1", "plain")])


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    server = Application(tmp_path_factory.mktemp("application") / "a.sock")
    yield server
    server.close()


@pytest.fixture(scope="module")
def stack(application, tmp_path_factory):
    started = Stack.up(tmp_path_factory.mktemp("stack") / "s", config=CONFIG, application=application.url)
    yield started
    started.down()


def bearer(stack, who="mia"):
    return stack.bearer(who, "orgs")


def create(stack, org, job, status="running", owner="mia"):
    stack.redis.hset(f"org:{org}:job:{{{job}}}", mapping={"owner": owner, "status": status})


def channel_of(org, job):
    return f"{{bull}}:{org}:{job}:events"


def log_of(org, job):
    return f"{{bull}}:{org}:{job}:logs"


def path_of(org, job, rest="stream"):
    return f"/api/orgs/{org}/jobs/{job}/{rest}"


def paths_of(org, job):
    """The paths of one job on all routes for its owner."""
    return [*(path_of(org, job, rest) for rest in ("stream", "logs/stream", "logs")), f"/api/jobs/{job}/of/{org}"]


# ---- two named segments -------------------------------------------------------------------------------


@ways_in
def test_a_stream_with_two_named_segments_runs_from_hello_to_its_end(stack, job, http, via):
    create(stack, "acme", job)
    stream = open_stream(stack, path_of("acme", job), headers=bearer(stack), http=http, via=via)
    assert stream.status == 200
    hello, standing = stream.take_events(2)
    assert (hello.name, hello.json()) == ("hello", {"org": "acme", "id": job})
    assert (standing.name, standing.json()) == ("standing", {"org": "acme", "id": job, "status": "running"})
    stack.redis.publish(channel_of("acme", job), '{"n":1}')
    assert stream.next_event().json() == {"n": 1}
    stack.redis.publish(channel_of("acme", job), '{"status":"done"}')
    assert stream.rest()[-1].json() == {"status": "done"}
    assert stream.last_id == "end"


def test_the_same_job_id_of_another_org_is_another_job(stack, job):
    create(stack, "acme", job)
    create(stack, "umbrella", job)
    acme = open_stream(stack, path_of("acme", job), headers=bearer(stack))
    umbrella = open_stream(stack, path_of("umbrella", job), headers=bearer(stack))
    acme.events_until("standing")
    umbrella.events_until("standing")
    stack.redis.publish(channel_of("acme", job), '{"of":"acme"}')
    stack.redis.publish(channel_of("umbrella", job), '{"of":"umbrella"}')
    assert acme.next_event().json() == {"of": "acme"}
    assert umbrella.next_event().json() == {"of": "umbrella"}


def test_a_job_of_another_orgs_owner_gets_404(stack, job):
    create(stack, "acme", job)
    create(stack, "umbrella", job, owner="noah")
    for mine, foreign in zip(paths_of("acme", job), paths_of("umbrella", job)):
        assert open_stream(stack, mine, headers=bearer(stack)).status == 200
        assert fetch(stack, foreign, headers=bearer(stack)).status == 404


def test_an_identity_for_one_org_is_refused_for_the_same_job_id_of_another(stack, job):
    create(stack, "acme", job)
    create(stack, "umbrella", job)
    here, there = paths_of("acme", job), paths_of("umbrella", job)
    for path in here:
        identity = sealed(stack, path, bearer(stack))
        assert open_stream(stack, path, headers=identity, via="gateway").status == 200
        for other in here + there:
            if other != path:
                assert (other, fetch(stack, other, headers=identity, via="gateway").status) == (other, 401)
    # The client's own header never reaches the gateway.
    stolen = sealed(stack, here[0], bearer(stack))
    assert fetch(stack, there[0], headers=stolen).status == 401


def test_an_identity_binds_the_values_in_their_order(stack):
    create(stack, "a", "b")
    create(stack, "b", "a")
    path = path_of("a", "b")
    assert open_stream(stack, path, headers=seal(stack, "org-events", "a/b", user="mia"), via="gateway").status == 200
    for other in ("b/a", "b", "a", "a/b/", "ab", ""):
        answer = fetch(stack, path, headers=seal(stack, "org-events", other, user="mia"), via="gateway")
        assert (other, answer.status) == (other, 401)


def test_routes_with_another_order_of_segments_share_a_record(stack, job):
    create(stack, "acme", job)
    stream = open_stream(stack, f"/api/jobs/{job}/of/acme", headers=bearer(stack))
    assert stream.status == 200
    stack.wait_subscribed(channel_of("acme", job))
    create(stack, "acme", job, status="done")
    assert stream.events_until("end", timeout=4)[-1].json() == {"org": "acme", "status": "done"}


def test_a_heartbeat_with_a_value_of_the_path_is_not_shared_with_another_org(stack, job):
    streams = {}
    for org in ("acme", "umbrella"):
        create(stack, org, job)
        streams[org] = open_stream(stack, path_of(org, job), headers=bearer(stack))
    for org, stream in streams.items():
        beat = next(block for block in iter(stream.next_block, None) if block.startswith(":"))
        assert beat == f": {org} {job}"


@pytest.mark.parametrize(
    "path",
    [
        "/api/orgs/acme/jobs/{0}",
        "/api/orgs//jobs/{0}/stream",
        "/api/orgs/acme/jobs//stream",
        "/api/orgs/acme/jobs/{0}/stream/",
        "/api/orgs/acme/x/jobs/{0}/stream",
        "/api/orgs/acme%2Fx/jobs/{0}/stream",
        "/api/orgs/acme/jobs/{0}%2Fx/stream",
        "/api/orgs/%2e%2e/jobs/{0}/stream",
        "/api/orgs/a:b/jobs/{0}/stream",
        "/api/orgs/a%3Ab/jobs/{0}/stream",
        "/api/orgs/acme/jobs/{0}+/stream",
    ],
)
@pytest.mark.parametrize("via", ["plain", "gateway"])
def test_a_path_that_does_not_fit_gets_404(stack, job, via, path):
    create(stack, "acme", job)
    got = raw_answer(stack, f"GET {path.format(job)} HTTP/1.1\r\nHost: localhost\r\n\r\n", via, head_suffices=True)
    assert got.startswith(b"HTTP/1.1 404 "), got[:300]


# ---- characters and forms of ids ----------------------------------------------------------------------


@ways_in
@pytest.mark.parametrize("written", ["eu:{}@x", "eu%3A{}%40x", "eu%3a{}@x"])
def test_an_id_with_further_characters_means_the_same_however_it_is_encoded(stack, job, http, via, written):
    create(stack, "acme", f"eu:{job}@x")
    path = path_of("acme", written.format(job))
    stream = open_stream(stack, path, headers=bearer(stack), http=http, via=via)
    assert stream.status == 200
    assert stream.events_until("standing")[-1].json()["id"] == f"eu:{job}@x"
    stack.redis.publish(channel_of("acme", f"eu:{job}@x"), '{"n":1}')
    assert stream.next_event().json() == {"n": 1}


def until_first_event(stack, target, via):
    """The answer up to the first event.  Sends `target` as it is: a client library might change its path."""
    got = b""
    with dial(stack, via) as link:
        link.settimeout(10)
        link.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        while not re.search(rb"\ndata: .*\n", got) and (chunk := link.recv(65536)):
            got += chunk
            if not got.startswith(b"HTTP/1.1 200 "):
                break
    return got


@pytest.mark.parametrize(
    "via, path",
    [
        ("gateway", "/api/chars/a{}b"),
        ("plain", "/api/chars/a{}b"),
        ("plain", "/api//chars/a{}b"),
        ("plain", "/api/./chars/a{}b"),
        ("plain", "/api/x/../chars/a{}b"),
    ],
)
def test_every_further_character_survives_a_path_that_nginx_normalises(stack, via, path):
    for char in "!$&()*+,:;<=>@[]^|~":
        for written in (char, f"%{ord(char):02X}"):
            target = path.format(written)
            assert f'data: "a{char}b"\n'.encode() in until_first_event(stack, target, via), target


def test_a_uuid_in_upper_case_has_the_channel_of_the_one_in_lower_case(stack):
    known = str(uuid.uuid4())
    stream = open_stream(stack, f"/api/uploads/{known.upper()}")
    assert stream.status == 200
    stack.wait_subscribed(f"upload:{known}")
    stack.redis.publish(f"upload:{known}", "live")
    assert stream.next_event().data == "live"


def test_an_identity_is_valid_for_both_spellings_of_an_id(stack, job):
    create(stack, "acme", f"eu:{job}")
    identity = sealed(stack, path_of("acme", f"eu:{job}"), bearer(stack))
    assert open_stream(stack, path_of("acme", f"eu%3A{job}"), headers=identity, via="gateway").status == 200


@pytest.mark.parametrize("written", ["a:b@c", "a&b=c;d+e", "a%26b%3Dc"])
def test_the_status_endpoint_is_asked_for_the_encoded_id(stack, application, job, written):
    application.answers["/status/acme"] = (200, {"status": "running"})
    stream = open_stream(stack, f"/api/asked/acme/{written}{job}", headers=bearer(stack))
    assert stream.status == 200
    asked = urllib.parse.urlsplit(application.asked[-1][0])
    assert asked.path == "/status/acme"
    assert urllib.parse.parse_qsl(asked.query) == [("job", urllib.parse.unquote(written) + job), ("full", "1")]


def test_a_route_for_uuids_or_numbers_takes_no_other_id(stack):
    known = uuid.uuid4()
    for good in (
        f"/api/uploads/{known}",
        f"/api/uploads/{str(known).upper()}",
        "/api/numbers/7",
        "/api/numbers/newest",
    ):
        assert open_stream(stack, good).status == 200, good
    for bad in (
        "/api/uploads/7",
        f"/api/uploads/{known.hex}",
        "/api/numbers/a7",
        "/api/numbers/007",
        "/api/numbers/-7",
        "/api/numbers/7.0",
    ):
        answer = fetch(stack, bad)
        assert (bad, answer.status, answer.json()) == (bad, 404, {"detail": "Not found"})


def test_an_id_that_does_not_fit_is_refused_without_asking_redis(stack):
    def is_idle():
        return not any(value for name, value in stack.metrics().items() if name.startswith("tailgate_streams_open{"))

    wait_until(is_idle, 5, "the streams of other tests have ended")
    before = stack.metrics()["tailgate_record_looks_total"]
    for bad in ("a+b", "a%20b", "%2e", "a" * 129, "a%2Fb", "a%5Cb"):
        assert fetch(stack, path_of("acme", bad), headers=bearer(stack), via="gateway").status == 404, bad
    assert stack.metrics()["tailgate_record_looks_total"] == before


def test_a_literal_path_beside_a_route_for_numbers_has_its_own_channel(stack):
    newest, seventh = open_stream(stack, "/api/numbers/newest"), open_stream(stack, "/api/numbers/7")
    stack.wait_subscribed("number:newest")
    stack.wait_subscribed("number:7")
    stack.redis.publish("number:newest", "n")
    stack.redis.publish("number:7", "7")
    assert (newest.next_event().data, seventh.next_event().data) == ("n", "7")


# ---- logs ---------------------------------------------------------------------------------------------


def add_twice(stack, org, job, *texts):
    """Appends an entry that has the field `text` once for each of `texts`.  Returns its id."""
    fields = [word for text in texts for word in ("text", text)]
    return stack.redis.execute_command("XADD", log_of(org, job), "*", *fields)


def test_a_line_has_the_last_value_of_a_field_that_its_entry_has_twice(stack, job):
    create(stack, "acme", job)
    entry = add_twice(stack, "acme", job, "first", "second", "last")
    resumed = open_stream(stack, path_of("acme", job, "logs/stream"), headers={**bearer(stack), "Last-Event-ID": "0-0"})
    assert resumed.next_event().json() == {"id": entry, "text": "last"}
    page = fetch(stack, path_of("acme", job, "logs"), headers=bearer(stack)).json()
    assert page["lines"] == [{"id": entry, "text": "last"}]
    live = add_twice(stack, "acme", job, "old", "new")
    assert resumed.next_event().json() == {"id": live, "text": "new"}


def test_a_log_whose_key_has_braces_runs_from_its_first_line_to_its_end(stack, job):
    create(stack, "acme", job)
    stream = open_stream(stack, path_of("acme", job, "logs/stream"), headers=bearer(stack))
    assert stream.status == 200
    lines = [add_twice(stack, "acme", job, f"line {n}") for n in range(3)]
    assert [event.last_id for event in stream.take_events(3)] == lines
    create(stack, "acme", job, status="done")
    end = stream.events_until("end", timeout=4)[-1]
    assert (end.last_id, end.json()) == (f"end.{lines[-1]}", {"org": "acme", "status": "done"})


def test_the_log_names_the_whole_key_of_a_record_of_another_type(stack, job):
    key = f"org:acme:job:{{{job}}}"
    stack.redis.set(key, "text")
    assert fetch(stack, path_of("acme", job), headers=bearer(stack)).status == 404
    wait_until(lambda: [line for line in stack.logs("record.wrong_type") if line["key"] == key])


# ---- the configuration --------------------------------------------------------------------------------


def test_nginx_has_one_location_for_each_path_with_named_segments(stack):
    rendered = next(Path(stack.dir).rglob("server.conf")).read_text()
    for pattern in ("/api/orgs/[^/]+/jobs/[^/]+/stream", "/api/jobs/[^/]+/of/[^/]+", "/api/numbers/[^/]+"):
        assert rendered.count(f'location ~ "^{pattern}\\z" {{') == 1
    assert rendered.count('location = "/api/numbers/newest" {') == 1
    directives = "\n".join(line for line in rendered.splitlines() if not line.lstrip().startswith("#"))
    assert "{org}" not in directives and "{id}" not in directives
