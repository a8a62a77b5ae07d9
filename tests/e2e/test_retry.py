"""proxy_next_upstream: what is tried again, what is not, and what the client never sees of it."""

import asyncio
import concurrent.futures
import json
import time

import pytest

from harness.client import Closed
from harness.origin import reply

SERVER = """
upstream group {{ {peers} }}
server {{ listen 127.0.0.1:@http@; {more} location / {{ proxy_pass http://group; }} }}
"""


async def drops(connection):
    """Reads a request and closes without an answer."""
    await connection.read_request()


async def never(connection):
    await connection.read_request()
    await asyncio.sleep(5)


def answers(status: int, body: bytes = b""):
    async def handler(connection):
        while await connection.read_request():
            await connection.reply(status, body)
    return handler


@pytest.fixture
def pair(gatehouse, make_origin):
    """pair(handler, directives): the first peer runs the handler (None: nobody listens), the second is a good origin named b."""
    def make(handler, more="", workers=1, parameters="max_fails=0"):
        good = make_origin(name="b")
        if handler is None:
            bad = make_origin()
            bad.stop()
        else:
            bad = make_origin(handler)
        peers = f"server 127.0.0.1:{bad.port} {parameters}; server 127.0.0.1:{good.port} backup;"
        server = gatehouse(SERVER.format(peers=peers, more=more), workers=workers)
        server.good, server.bad = good, bad
        return server
    return make


@pytest.mark.smoke
@pytest.mark.parametrize("handler", [None, drops], ids=["refused", "dropped"])
def test_a_get_is_tried_again(pair, handler):
    response = pair(handler).request("/")
    assert json.loads(response.body)["origin"] == "b"


def test_a_timeout_is_tried_again(pair):
    assert pair(never, "proxy_read_timeout 1s;").request("/").status == 200


def test_an_invalid_response_only_when_listed(pair):
    async def rubbish(connection):
        await connection.read_request()
        await connection.send(b"rubbish\r\n\r\n")

    assert pair(rubbish).request("/").status == 502
    assert pair(rubbish, "proxy_next_upstream invalid_header;").request("/").status == 200


@pytest.mark.parametrize("status", [500, 502, 503, 504, 403, 404, 429])
def test_a_status_only_when_listed(pair, status):
    assert pair(answers(status)).request("/").status == status
    assert pair(answers(status), f"proxy_next_upstream http_{status};").request("/").status == 200


def test_the_last_peer_s_answer_is_passed_through(gatehouse, make_origin):
    """When every peer answers a listed status, the client gets that status and that body."""
    peers = "".join(f"server 127.0.0.1:{make_origin(answers(503, b'busy')).port};" for _ in range(2))
    response = gatehouse(SERVER.format(peers=peers, more="proxy_next_upstream http_503;")).request("/")
    assert (response.status, response.body) == (503, b"busy")


def test_a_post_that_was_sent_is_not_tried_again(pair):
    server = pair(drops)
    assert server.request("/", method="POST", body=b"x").status == 502
    assert server.good.requests == []


def test_a_post_that_was_not_sent_is_tried_again(pair):
    """Nobody listened: nothing can have happened twice."""
    server = pair(None)
    assert server.request("/", method="POST", body=b"hello").status == 200
    assert server.good.requests[0].body == b"hello"


def test_non_idempotent_allows_a_post(pair):
    server = pair(drops, "proxy_next_upstream error timeout non_idempotent;")
    assert server.request("/", method="POST", body=b"hello").status == 200
    assert server.good.requests[0].body == b"hello"


def test_a_spilled_body_is_sent_again_whole(pair):
    server = pair(None, "client_max_body_size 0; client_body_buffer_size 8k;")
    assert server.request("/", method="PUT", body=b"z" * 500_000).status == 200
    assert server.good.requests[0].body == b"z" * 500_000


def test_off_means_off(pair):
    assert pair(drops, "proxy_next_upstream off;").request("/").status == 502


def test_tries_are_limited(gatehouse, make_origin):
    origins = [make_origin(drops) for _ in range(4)]
    peers = "".join(f"server 127.0.0.1:{origin.port};" for origin in origins)
    server = gatehouse(SERVER.format(peers=peers, more="proxy_next_upstream_tries 2;"), workers=1)
    assert server.request("/").status == 502
    assert sum(origin.connections for origin in origins) == 2


def test_the_time_for_tries_is_limited(pair):
    server = pair(never, "proxy_read_timeout 2s; proxy_next_upstream_timeout 1s;")
    assert server.request("/").status == 504


def test_nothing_is_tried_after_the_head_has_gone_out(pair):
    async def breaks_off(connection):
        await connection.read_request()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome")

    server = pair(breaks_off)
    client = server.connect()
    client.send_request("/")
    with pytest.raises(Closed):
        client.read_response()
    assert server.good.requests == []


def test_no_live_upstreams(gatehouse, make_origin):
    origin = make_origin()
    server = gatehouse(SERVER.format(peers=f"server 127.0.0.1:{origin.port} down;", more=""))
    assert server.request("/").status == 502
    server.wait_for_log("no live upstreams while connecting to upstream")


def test_a_stale_pooled_connection_is_no_failure(gatehouse, make_origin):
    """A pooled connection that the origin closed meanwhile costs the client nothing, and the peer no failure."""
    async def one_each(connection):
        await connection.read_request()
        await connection.reply(200, b"fine")
        if connection.number == 1:
            await asyncio.sleep(0.2)

    origin = make_origin(one_each)
    server = gatehouse(SERVER.format(peers=f"server 127.0.0.1:{origin.port};", more=""), workers=1)
    client = server.connect()
    for method, body in [("GET", None), ("POST", b"x"), ("GET", None)]:
        assert client.request("/", method=method, body=body).body == b"fine"
        time.sleep(0.4)


def test_a_request_on_a_connection_that_closes_under_it_is_sent_again(gatehouse, make_origin):
    """The origin closes just when the request comes: a GET is sent again on a new connection, even to the only peer."""
    async def handler(connection):
        await connection.read_request()
        await connection.reply(200, b"first")
        if connection.number == 1:
            await connection.reader.read(1)
            connection.reset()
            return
        while await connection.read_request():
            await connection.reply(200, b"again")

    origin = make_origin(handler)
    server = gatehouse(SERVER.format(peers=f"server 127.0.0.1:{origin.port};", more=""), workers=1)
    client = server.connect()
    assert client.request("/1").status == 200
    assert client.request("/2").status == 200


@pytest.mark.smoke
@pytest.mark.limit(90)
def test_one_of_three_backends_killed_under_load(gatehouse, make_origin):
    """No client sees an error for idempotent requests while a backend dies and comes back."""
    origins = [make_origin(name=name) for name in "abc"]
    peers = "".join(f"server 127.0.0.1:{origin.port} fail_timeout=1s;" for origin in origins)
    server = gatehouse(SERVER.format(peers=peers, more=""))
    stop_at = time.monotonic() + 8

    def load() -> list[int]:
        statuses, client = [], server.connect()
        while time.monotonic() < stop_at:
            response = client.request("/")
            statuses.append(response.status)
            if response.closes:
                client = server.connect()
        return statuses

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        running = [pool.submit(load) for _ in range(8)]
        for _ in range(2):
            time.sleep(1.5)
            origins[1].stop()
            time.sleep(1.5)
            origins[1].start()
        statuses = [status for future in running for status in future.result()]
    assert len(statuses) > 200
    assert set(statuses) == {200}


@pytest.mark.parametrize(("budget", "retried"), [("retry_budget 100;", 60), ("retry_budget 0; retry_budget_min 1;", 10)],
                         ids=["no limit", "one a second"])
def test_retries_have_a_budget(gatehouse, make_origin, budget, retried):
    """A peer that is always broken costs every other request a retry; the budget (over ten seconds) bounds how many there are."""
    good = make_origin(name="b")
    bad = make_origin(drops, name="a")
    server = gatehouse(SERVER.format(peers=f"{budget} server 127.0.0.1:{bad.port} max_fails=0; server 127.0.0.1:{good.port};", more=""),
                       workers=1)
    client = server.connect()
    statuses = [client.request("/").status for _ in range(120)]
    assert statuses.count(200) == 60 + retried
    assert statuses.count(502) == 60 - retried


@pytest.mark.parametrize(("sent", "status"), [(2, 200), (3, 502)])
def test_interim_responses_have_a_limit(gatehouse, make_origin, sent, status):
    async def interim(connection):
        while await connection.read_request():
            await connection.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * sent + reply(200, b"final"))

    origin = make_origin(interim)
    server = gatehouse("""server { listen 127.0.0.1:@http@; proxy_max_interim_responses 2;
        location / { proxy_pass http://127.0.0.1:@origin@; } }""", origin=origin.port)
    assert server.request("/").status == status
