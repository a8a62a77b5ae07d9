"""Every limit at its edge: the last value that passes and the first that does not."""

import asyncio
import os
import resource
import socket
import time

import pytest

from harness.origin import reply

HTTP = "server {{ listen 127.0.0.1:@http@; {} location / {{ proxy_pass http://127.0.0.1:@origin@; }} }}"


def get(*fields: str, target: str = "/") -> bytes:
    return (f"GET {target} HTTP/1.1\r\nHost: a\r\n" + "".join(field + "\r\n" for field in fields) + "\r\n").encode()


def status(server, message: bytes) -> int:
    client = server.connect()
    client.send(message)
    found = client.read_response().status
    client.close()
    return found


def target_of_line(size: int) -> str:
    """A target that makes a request line of so many bytes, its CRLF included."""
    return "/" + "x" * (size - len("GET / HTTP/1.1\r\n"))


@pytest.mark.parametrize(("size", "expected"), [(8192, 200), (8193, 414)])
def test_request_line(gatehouse, origin, size, expected):
    """large_client_header_buffers 4 8k: one buffer holds the request line."""
    server = gatehouse(HTTP.format(""), origin=origin.port)
    assert status(server, get(target=target_of_line(size))) == expected


@pytest.mark.parametrize(("size", "expected"), [(4096, 200), (4097, 414)])
def test_request_line_configured(gatehouse, origin, size, expected):
    server = gatehouse(HTTP.format("large_client_header_buffers 4 4k;"), origin=origin.port)
    assert status(server, get(target=target_of_line(size))) == expected


@pytest.mark.parametrize(("size", "expected"), [(8192, 200), (8193, 431)])
def test_field_line(gatehouse, origin, size, expected):
    """large_client_header_buffers 4 8k: one buffer holds a field line."""
    server = gatehouse(HTTP.format(""), origin=origin.port)
    assert status(server, get("X: " + "y" * (size - len("X: \r\n")))) == expected


@pytest.mark.parametrize(("count", "expected"), [(3, 200), (5, 431)])
def test_whole_head(gatehouse, origin, count, expected):
    """large_client_header_buffers 4 8k: all buffers hold the head."""
    server = gatehouse(HTTP.format(""), origin=origin.port)
    assert status(server, get(*(f"X-{i}: " + "y" * 7500 for i in range(count)))) == expected


@pytest.mark.parametrize(("fields", "expected"), [(200, 200), (201, 431)])
def test_max_headers(gatehouse, origin, fields, expected):
    server = gatehouse(HTTP.format(""), origin=origin.port)
    assert status(server, get(*("X: y" for _ in range(fields - 1)))) == expected


@pytest.mark.parametrize(("fields", "expected"), [(10, 200), (11, 431)])
def test_max_headers_configured(gatehouse, origin, fields, expected):
    server = gatehouse(HTTP.format("max_headers 10;"), origin=origin.port)
    assert status(server, get(*("X: y" for _ in range(fields - 1)))) == expected


@pytest.mark.parametrize(("size", "expected"), [(1000, 200), (1001, 413)])
@pytest.mark.parametrize("form", ["length", "chunked"])
def test_client_max_body_size(gatehouse, origin, size, expected, form):
    server = gatehouse(HTTP.format("client_max_body_size 1000;"), origin=origin.port)
    body = b"x" * size
    client = server.connect()
    if form == "length":
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + body)
    else:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % size + body + b"\r\n0\r\n\r\n")
    assert client.read_response().status == expected
    assert len(origin.requests) == (expected == 200)


@pytest.mark.parametrize(("size", "expected"), [(1 << 20, 200), ((1 << 20) + 1, 413)])
def test_client_max_body_size_is_a_mebibyte_by_default(gatehouse, origin, size, expected):
    server = gatehouse(HTTP.format(""), origin=origin.port)
    client = server.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
    if expected == 200:
        client.send(b"x" * size)
    assert client.read_response().status == expected


def test_client_max_body_size_zero_is_no_limit(gatehouse, origin):
    server = gatehouse(HTTP.format("client_max_body_size 0;"), origin=origin.port)
    assert server.request("/", method="POST", body=b"x" * (3 << 20)).status == 200


def test_a_chunked_body_over_the_limit_is_refused_before_it_ends(gatehouse, origin):
    server = gatehouse(HTTP.format("client_max_body_size 1000;"), origin=origin.port)
    client = server.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" + b"x" * 1500)
    response = client.read_response()
    assert response.status == 413
    assert response.closes


@pytest.mark.parametrize("limit", [1, 3])
def test_keepalive_requests(gatehouse, origin, limit):
    """The last request a connection may carry says so."""
    server = gatehouse(HTTP.format(f"keepalive_requests {limit};"), origin=origin.port)
    client = server.connect()
    closes = [client.request("/").closes for _ in range(limit)]
    assert closes == [False] * (limit - 1) + [True]
    client.assert_closed()


def test_keepalive_timeout(gatehouse, origin):
    server = gatehouse(HTTP.format("keepalive_timeout 1s;"), origin=origin.port)
    client = server.connect()
    assert client.request("/").status == 200
    started = time.monotonic()
    client.assert_closed(timeout=5)
    assert 0.7 < time.monotonic() - started < 4


def test_keepalive_timeout_zero_is_no_keep_alive(gatehouse, origin):
    server = gatehouse(HTTP.format("keepalive_timeout 0;"), origin=origin.port)
    client = server.connect()
    assert client.request("/").closes
    client.assert_closed()


def test_keepalive_time(gatehouse, origin):
    """A connection older than this is closed after its next request."""
    server = gatehouse(HTTP.format("keepalive_time 1s;"), origin=origin.port)
    client = server.connect()
    assert not client.request("/").closes
    time.sleep(1.2)
    assert client.request("/").closes
    client.assert_closed()


def test_client_header_timeout(gatehouse, origin):
    server = gatehouse(HTTP.format("client_header_timeout 1s;"), origin=origin.port)
    client = server.connect()
    client.send("GET / HTTP/1.1\r\n")
    response = client.read_response()
    assert response.status == 408
    client.assert_closed()


def test_client_body_timeout(gatehouse, origin):
    server = gatehouse(HTTP.format("client_body_timeout 1s;"), origin=origin.port)
    client = server.connect()
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234")
    assert client.read_response().status == 408
    client.assert_closed()


def test_send_timeout(gatehouse, make_origin):
    """A client that stops reading loses its connection."""
    origin = make_origin()
    origin.answer = lambda request: reply(200, b"x" * (64 << 20))
    server = gatehouse(HTTP.format("send_timeout 1s;"), origin=origin.port)
    client = server.connect()
    client.send(get())
    server.wait_for_access("GET / HTTP/1.1", timeout=15)
    client.close()


@pytest.mark.parametrize(("seconds", "expected"), [(0.2, 200), (3, 504)])
def test_proxy_read_timeout(gatehouse, make_origin, seconds, expected):
    async def handler(connection):
        await connection.read_request()
        await asyncio.sleep(seconds)
        await connection.reply(200, b"late")

    server = gatehouse(HTTP.format("proxy_read_timeout 1s;"), origin=make_origin(handler).port)
    assert server.request("/").status == expected


def test_proxy_connect_timeout(gatehouse):
    """A peer that does not take the connection is a 504 after the configured time."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        filler = []
        for _ in range(8):  # the kernel takes a few into the queue before it stops answering
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(full.getsockname())
            filler.append(one)
        server = gatehouse(HTTP.format("proxy_connect_timeout 1s;"), origin=full.getsockname()[1])
        started = time.monotonic()
        assert server.request("/").status == 504
        assert 0.7 < time.monotonic() - started < 5
        for one in filler:
            one.close()


@pytest.mark.parametrize(("size", "expected"), [(15000, 200), (17000, 502)])
def test_upstream_head(gatehouse, make_origin, size, expected):
    """proxy_buffer_size, 16k by default, holds the whole response head."""
    origin = make_origin()
    origin.answer = lambda request: reply(200, b"x", [("X", "y" * (size // 2)), ("Z", "y" * (size // 2))])
    server = gatehouse(HTTP.format(""), origin=origin.port)
    assert server.request("/").status == expected


@pytest.mark.parametrize(("size", "expected"), [(3500, 200), (4200, 502)])
def test_upstream_head_configured(gatehouse, make_origin, size, expected):
    origin = make_origin()
    origin.answer = lambda request: reply(200, b"x", [("X", "y" * size)])
    server = gatehouse(HTTP.format("proxy_buffer_size 4k;"), origin=origin.port)
    assert server.request("/").status == expected


def test_worker_connections_make_room_by_closing_idle_ones(gatehouse, origin):
    """When a thread's slots run out, connections that wait for nothing are closed first, and new clients are served."""
    server = gatehouse(HTTP.format(""), workers=1, connections=64, origin=origin.port)
    clients = []
    for _ in range(100):
        client = server.connect()
        clients.append(client)
        assert client.request("/").status == 200


@pytest.mark.limit(90)
def test_the_accept_loop_survives_emfile(gatehouse, origin):
    """Out of file descriptors: new connections wait, nothing dies, and service is back as soon as there is room."""
    server = gatehouse(HTTP.format(""), workers=1, origin=origin.port)
    server.allow_log("Too many open files|accept")
    worker = (server.workers() or [server.process.pid])[-1]
    in_use = len(os.listdir(f"/proc/{worker}/fd"))
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (in_use + 10, 4096))
    crowd = [socket.create_connection(("127.0.0.1", server.port()), timeout=5) for _ in range(40)]
    server.wait_for_log("Too many open files|24:")
    used = _cpu(worker)
    time.sleep(1)
    assert _cpu(worker) - used < 0.5, "it spins while descriptors are short"
    for one in crowd:
        one.close()
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (4096, 4096))
    deadline = time.monotonic() + 10
    while True:
        try:
            assert server.request("/", timeout=3).status == 200
            break
        except (AssertionError, OSError):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert server.workers() == [] or worker in server.workers()


def _cpu(pid: int) -> float:
    """Seconds of processor time the process has used."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
