"""Clients that send or read too slowly, or never what they announced (rows 51, 53, 54, 59-61)."""

import asyncio
import time

import pytest

from harness.client import Client, Closed
from harness.origin import reply

ORIGIN = "location / { proxy_pass http://127.0.0.1:@origin@; }"


def test_row_51_the_announced_body_never_comes(gatehouse, origin):
    """Row 51: 100 invites the body, 408 ends the wait."""
    server = gatehouse(f"server {{ listen 127.0.0.1:@http@; client_body_timeout 1s; {ORIGIN} }}", origin=origin.port)
    client = server.connect()
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert client.read_head().status == 100
    started = time.monotonic()
    response = client.read_response()
    assert response.status == 408
    assert response.closes
    assert 0.7 < time.monotonic() - started < 5
    client.assert_closed()
    assert origin.requests == []


def test_row_53_a_body_after_an_early_answer_is_drained(gatehouse, origin):
    """Row 53: an answer that needs no body leaves a small one to be read and dropped, and the connection goes on."""
    server = gatehouse(f"server {{ listen 127.0.0.1:@http@; location /no {{ return 403; }} {ORIGIN} }}", origin=origin.port)
    client = server.connect()
    client.send("POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + "x" * 1000)
    response = client.read_response()
    assert response.status == 403
    if response.closes:
        client.assert_closed()
    else:
        assert client.request("/after").status == 200
        assert [request.target for request in origin.requests] == ["/after"]


@pytest.mark.parametrize("length", [40, 10_000_000])
def test_row_53_the_rest_of_a_body_is_never_a_request(gatehouse, origin, length):
    """Row 53: after an early answer, bytes that the request had announced as its body are body (0.CL bait)."""
    server = gatehouse(f"server {{ listen 127.0.0.1:@http@; location /no {{ return 403; }} {ORIGIN} }}", origin=origin.port)
    client = server.connect()
    client.send(f"POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
    first = client.read_response()
    assert first.status in (403, 413)
    inner = b"GET /smuggled HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n"
    assert len(inner) == 40 or length > 40
    try:
        client.send(inner)
        client.socket.settimeout(2)
        again = client.read_response()
        raise AssertionError(f"the body was answered as a request: {again.status}")
    except (Closed, TimeoutError, ConnectionError):
        pass
    assert origin.requests == []


def test_row_54_bytes_before_the_upgrade_are_held(gatehouse, make_origin):
    """Row 54: what the client sends before the 101 waits for it, and then goes through the tunnel."""
    early = []

    async def handler(connection):
        await connection.read_head()
        try:
            early.append(await asyncio.wait_for(connection.reader.read(100), 0.5))
        except TimeoutError:
            early.append(b"")
        await connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        early.append(await connection.reader.readexactly(5))
        await connection.send(b"world")

    server = gatehouse(TUNNEL, origin=make_origin(handler).port)
    client = server.connect()
    client.send(UPGRADE + b"hello")
    assert client.read_response().status == 101
    assert client.read_exactly(5) == b"world"
    assert early == [b"", b"hello"]


def test_row_54_a_refused_upgrade_leaves_the_next_request(gatehouse, origin):
    """Row 54: without a 101, the bytes behind the upgrade request are the next request."""
    server = gatehouse(TUNNEL, origin=origin.port)
    client = server.connect()
    client.send(UPGRADE + b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.read_response().status == 200
    second = client.read_response()
    assert second.status == 200
    assert [request.target for request in origin.requests] == ["/ws", "/next"]


TUNNEL = """server {
    listen 127.0.0.1:@http@;
    location / {
        proxy_pass http://127.0.0.1:@origin@;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
    }
}"""
UPGRADE = (b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")


def test_row_59_a_head_that_drips(gatehouse):
    """Row 59: the time for a head is for all of it, not between two bytes."""
    server = gatehouse('server { listen 127.0.0.1:@http@; client_header_timeout 2s; return 200 "x"; }')
    client = server.connect()
    started = time.monotonic()
    status = None
    for byte in b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-Padding: y\r\n" * 20:
        try:
            client.send(bytes([byte]))
        except ConnectionError:
            break
        client.socket.settimeout(0.2)
        try:
            status = client.read_response().status
            break
        except TimeoutError:
            continue
    assert status == 408
    assert 1.5 < time.monotonic() - started < 6


def test_row_59_nothing_at_all(gatehouse):
    """Row 59: a connection that never says anything ends after the same time, without an answer."""
    server = gatehouse('server { listen 127.0.0.1:@http@; client_header_timeout 1s; return 200 "x"; }')
    client = server.connect()
    client.assert_closed(timeout=5)


def test_row_60_a_body_that_drips(gatehouse, origin):
    """Row 60: a body below the minimum rate ends with 408, however regularly its bytes come."""
    server = gatehouse(f"server {{ listen 127.0.0.1:@http@; client_body_timeout 10s; {ORIGIN} }}", origin=origin.port)
    client = server.connect()
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
    started = time.monotonic()
    status = None
    while status is None and time.monotonic() - started < 25:
        try:
            client.send(b"x")
        except ConnectionError:
            break
        client.socket.settimeout(0.5)
        try:
            status = client.read_response().status
        except TimeoutError:
            continue
    assert status == 408
    assert 4.5 < time.monotonic() - started < 20
    assert origin.requests == []


def test_row_60_a_steady_body_is_let_through(gatehouse, origin):
    """Row 60: slow but above the minimum rate is fine."""
    server = gatehouse(f"server {{ listen 127.0.0.1:@http@; {ORIGIN} }}", origin=origin.port)
    client = server.connect()
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\n")
    client.send(*[b"x" * 250] * 16, pause=0.5)
    assert client.read_response().status == 200
    assert len(origin.requests[0].body) == 4000


def test_row_61_a_client_that_reads_a_byte_a_second(gatehouse, make_origin):
    """Row 61: a response taken below the minimum rate ends the connection, and the origin's with it."""
    origin = make_origin()
    origin.answer = lambda request: reply(200, b"x" * (64 << 20))
    server = gatehouse(f"server {{ listen 127.0.0.1:@http@; send_timeout 10s; {ORIGIN} }}", origin=origin.port)
    client = Client(server.port(), receive_buffer=4096)
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    started = time.monotonic()
    while time.monotonic() - started < 40 and not server.access_log():
        try:
            client.socket.recv(1)
        except ConnectionError:
            break
        time.sleep(1)
    server.wait_for_access("GET / HTTP/1.1")
    assert time.monotonic() - started < 40
    sent = int(server.access_log()[0].split('" 200 ')[1].split(" ")[0])
    assert sent < 64 << 20
    client.close()
