"""Clients that come back after the end of their stream.

A browser's EventSource stops after a 204.  event-source-polyfill stops in a browser too, but under Node it takes a 204
for a failure and comes back with growing pauses.  Such a client costs one short request each time.
"""

import pytest

from support.clients import fetch, open_stream
from support.routes import WITH_RECORD
from support.waiting import wait_until

KINDS = pytest.mark.parametrize("kind", WITH_RECORD, ids=lambda kind: kind.route)
NAMES = ("last_event_id", "lastEventId", "Last-Event-ID")


@KINDS
def test_each_request_after_the_end_gets_an_empty_204_and_opens_nothing(stack, job, kind):
    endpoint = kind(stack, job).create()
    endpoint.write_number(1)
    endpoint.finish_silently()
    end = endpoint.end_id
    opened = f'tailgate_streams_opened_total{{route="{kind.route}"}}'
    before = stack.metrics().get(opened, 0)
    for http in ("1.1", "2"):
        for name in NAMES:
            answer = fetch(stack, endpoint.path, headers=endpoint.headers(), params={name: end}, http=http)
            assert (answer.status, answer.raw) == (204, b""), (http, name)
            assert not answer.headers.get("content-type", "").startswith("text/event-stream")
        answer = fetch(stack, endpoint.path, headers={**endpoint.headers(), "Last-Event-ID": end}, http=http)
        assert (answer.status, answer.raw) == (204, b"")
    # The page's helper put an id into the URL, and the library adds its own.
    answer = fetch(stack, endpoint.path + f"?last_event_id=0-0&lastEventId={end}", headers=endpoint.headers())
    assert (answer.status, answer.raw) == (204, b"")
    assert stack.metrics().get(opened, 0) == before
    if endpoint.channel:
        wait_until(lambda: stack.subscribers(endpoint.channel) == 0, 6, "no subscription is left")


@KINDS
def test_a_client_that_keeps_coming_back_gets_the_stream_of_a_job_that_runs_again(stack, job, kind):
    endpoint = kind(stack, job).create()
    endpoint.finish_silently()
    end = endpoint.end_id
    assert fetch(stack, endpoint.path, headers=endpoint.headers(), params={"lastEventId": end}).status == 204
    endpoint.run_again()
    with open_stream(stack, endpoint.path, headers=endpoint.headers(), params={"lastEventId": end}) as stream:
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream")
