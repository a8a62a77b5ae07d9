"""Origins that break the protocol: what is ambiguous or unasked never reaches a client (rows 63-66)."""

import asyncio

import pytest

from harness.client import Closed, FramingError
from harness.origin import reply

HTTP = "server {{ listen 127.0.0.1:@http@; {} location / {{ proxy_pass http://127.0.0.1:@origin@; }} }}"
HEAD = b"HTTP/1.1 200 OK\r\n"


def scripted(*answers: bytes):
    """A handler that answers the requests of all its connections with these bytes in turn, then with 200 `fine`."""
    left = list(answers)

    async def handler(connection):
        while await connection.read_request():
            await connection.send(left.pop(0) if left else reply(200, b"fine"))
    return handler


@pytest.mark.parametrize("answer", [
    HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    HEAD + b"Content-Length: 2, 3\r\n\r\nabc",
    HEAD + b"Content-Length: -1\r\n\r\n",
    HEAD + b"Content-Length: 99999999999999999999\r\n\r\n",
    HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Content-Length: 2\r\nX: a\0b\r\n\r\nab",
    HEAD + b"Content-Length: 2\r\nX: a\rb\r\n\r\nab",
    HEAD + b"Content-Length: 2\r\nX y: b\r\n\r\nab",
    HEAD + b"Content-Length: 2\r\nno colon\r\n\r\nab",
    HEAD + b"X: " + b"y" * 20000 + b"\r\nContent-Length: 2\r\n\r\nab",
    HEAD + b"X: yyyyyyyyyyyyyy\r\n" * 1100 + b"Content-Length: 2\r\n\r\nab",
    b"HTTP/1.1 99 Odd\r\nContent-Length: 2\r\n\r\nab",
    b"HTTP/1.1 2000 Odd\r\nContent-Length: 2\r\n\r\nab",
    b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nab",
    b"ICY 200 OK\r\n\r\n",
    b"<html>no head</html>\r\n\r\n",
], ids=["length and chunked", "chunked and length", "two lengths", "length list", "negative length", "overflowing length",
        "coding before chunked", "unknown coding", "NUL", "bare CR", "space in a name", "no colon", "field over the buffer",
        "head over the buffer", "two digits of status", "four digits of status", "HTTP/2.0", "not HTTP", "no head"])
def test_row_63_broken_response(gatehouse, make_origin, answer):
    """Row 63: a response that can be read in two ways, or not at all, is a 502, and its connection is not used again."""
    origin = make_origin(scripted(answer))
    server = gatehouse(HTTP.format("proxy_next_upstream off;"), origin=origin.port)
    client = server.connect()
    assert client.request("/one").status == 502
    assert client.request("/two").body == b"fine"
    assert origin.connections == 2
    server.wait_for_log(r"upstream sent .*upstream: \"http://127\.0\.0\.1")


@pytest.mark.parametrize("body", [b"5\r\nhelloX\r\n0\r\n\r\n", b"g\r\nhello\r\n0\r\n\r\n", b"5\nhello\r\n0\r\n\r\n",
                                  b"10000000000000005\r\nhello\r\n0\r\n\r\n", b"-5\r\nhello\r\n0\r\n\r\n"])
def test_row_63_broken_chunk(gatehouse, make_origin, body):
    """Row 63: a broken chunk is a 502, or, once the head is on its way, a response that visibly breaks off."""
    origin = make_origin(scripted(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body))
    server = gatehouse(HTTP.format("proxy_next_upstream off;"), origin=origin.port)
    client = server.connect()
    client.send_request("/one")
    try:
        assert client.read_response().status == 502
    except Closed:
        pass
    assert server.request("/two").body == b"fine"
    assert origin.connections == 2


def test_row_63_body_breaks_off(gatehouse, make_origin):
    """Row 63: a body shorter than its length is never made to look whole."""
    async def handler(connection):
        await connection.read_request()
        await connection.send(HEAD + b"Content-Length: 10\r\n\r\nhello")

    server = gatehouse(HTTP.format(""), origin=make_origin(handler).port)
    client = server.connect()
    client.send_request("/")
    with pytest.raises(Closed):
        client.read_response()
    server.wait_for_log("upstream prematurely closed connection")


def test_row_64_bytes_behind_a_response(gatehouse, make_origin):
    """Row 64: what comes behind a response is nobody's answer."""
    origin = make_origin(scripted(reply(200, b"first") + reply(200, b"poison")))
    server = gatehouse(HTTP.format(""), origin=origin.port)
    client = server.connect()
    assert client.request("/one").body == b"first"
    assert client.request("/two").body == b"fine"
    assert origin.connections == 2


def test_row_64_bytes_on_an_idle_connection(gatehouse, make_origin):
    """Row 64: an answer that comes before any request ends the pooled connection."""
    sent = asyncio.Event()

    async def handler(connection):
        number = connection.number
        while await connection.read_request():
            await connection.reply(200, b"answer of %d" % number)
            if number == 1:
                await asyncio.sleep(0.1)
                await connection.reply(200, b"poison")
                sent.set()

    origin = make_origin(handler)
    server = gatehouse(HTTP.format(""), workers=1, origin=origin.port)
    client = server.connect()
    assert client.request("/one").body == b"answer of 1"
    client.assert_open(quiet=0.4)
    assert client.request("/two").body == b"answer of 2"


def test_row_64_an_answer_before_the_request_is_complete_ends_the_connection(gatehouse, make_origin):
    """Row 64: an origin that answers without reading the body gets no second request on that connection."""
    async def handler(connection):
        await connection.read_head()
        await connection.reply(200, b"early")
        await asyncio.sleep(0.5)

    origin = make_origin(handler)
    server = gatehouse(HTTP.format("proxy_request_buffering off; client_max_body_size 0;"), origin=origin.port)
    client = server.connect()
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + "x" * 1000)
    assert client.read_response().body == b"early"
    client.close()
    assert server.request("/two").body == b"early"
    assert origin.connections == 2


def test_row_65_unasked_switch(gatehouse, make_origin):
    """Row 65: a 101 that nobody asked for opens no tunnel."""
    answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    server = gatehouse(HTTP.format("proxy_next_upstream off;"), origin=make_origin(scripted(answer)).port)
    assert server.request("/").status == 502


@pytest.mark.parametrize(("interim", "status"), [(16, 200), (17, 502)])
def test_row_65_interim_responses(gatehouse, make_origin, interim, status):
    """Row 65: sixteen interim responses are plenty."""
    answer = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * interim + reply(200, b"final")
    server = gatehouse(HTTP.format("proxy_next_upstream off;"), origin=make_origin(scripted(answer)).port)
    assert server.request("/").status == status


def test_row_65_body_of_a_204(gatehouse, make_origin):
    """Row 65: a 204 has no body: what comes with it is dropped, with the connection."""
    origin = make_origin(scripted(b"HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\npoison"))
    server = gatehouse(HTTP.format(""), origin=origin.port)
    client = server.connect()
    assert client.request("/one").status == 204
    assert client.request("/two").body == b"fine"
    assert origin.connections == 2


def test_row_65_body_of_a_304_and_of_a_head(gatehouse, make_origin):
    """Row 65: neither has the answer to HEAD nor a 304, whatever length they tell."""
    origin = make_origin(scripted(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"))
    server = gatehouse(HTTP.format(""), origin=origin.port)
    client = server.connect()
    assert client.request("/one", headers={"If-None-Match": '"x"'}).status == 304
    response = client.request("/two", method="HEAD")
    assert (response.status, response.header("content-length")) == (200, "6")
    assert client.request("/three").body == b"fine"


def test_row_66_plain_text_before_the_handshake(gatehouse, make_origin):
    """Row 66: an origin that should speak TLS and answers in the clear is a 502; its text is nobody's answer (CVE-2026-1642)."""
    async def handler(connection):
        await connection.send(reply(200, b"injected"))
        await asyncio.sleep(0.2)

    server = gatehouse("server { listen 127.0.0.1:@http@; location / { proxy_pass https://127.0.0.1:@origin@; } }",
                       origin=make_origin(handler).port)
    response = server.request("/")
    assert response.status == 502
    assert b"injected" not in response.body


def test_hop_by_hop_fields_of_a_response_stay_behind(gatehouse, make_origin):
    """What an origin says about its own connection, or names in Connection, is not the client's."""
    answer = HEAD + (b"Connection: keep-alive, X-Secret\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nX-Secret: 1\r\n"
                     b"X-Public: 2\r\nContent-Length: 2\r\n\r\nab")
    server = gatehouse(HTTP.format(""), origin=make_origin(scripted(answer)).port)
    response = server.request("/")
    assert response.all("x-secret") == response.all("proxy-connection") == []
    assert response.header("x-public") == "2"


def test_no_response_splitting_through_a_folded_field(gatehouse, make_origin):
    """A folded response field is unfolded or refused, never passed on as it is."""
    server = gatehouse(HTTP.format(""), origin=make_origin(scripted(HEAD + b"X: a\r\n b: c\r\nContent-Length: 2\r\n\r\nab")).port)
    try:
        response = server.request("/")
    except FramingError:
        raise AssertionError("a folded field reached the client") from None
    assert response.status == 502 or response.header("x") == "a b: c"
