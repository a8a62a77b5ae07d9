"""Clients that take a response more slowly than the upstream sends it: what is read ahead, where it is kept, and what ends with them."""

import asyncio
import hashlib
import pathlib
import re
import time

import pytest

LARGE = bytes(range(256)) * 320_000  # 80 MB, more than the sockets between origin and client hold
SITE = """server {{ listen 127.0.0.1:@http@; location / {{ proxy_pass http://127.0.0.1:@origin@; proxy_http_version 1.1;
    proxy_temp_path @dir@/spool; {more} }} }}"""


class Sender:
    """An origin's handler that sends LARGE and knows when it has got rid of it."""

    def __init__(self, chunked: bool = False, cut: int | None = None, close: bool = False) -> None:
        self.chunked, self.cut, self.close, self.sent, self.finished, self.connections = chunked, cut, close, 0, None, 0

    async def __call__(self, connection) -> None:
        self.connections += 1
        while await connection.read_request():
            framing = "Transfer-Encoding: chunked" if self.chunked else "Connection: close" if self.close else f"Content-Length: {len(LARGE)}"
            await connection.send(f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{framing}\r\n\r\n".encode())
            for at in range(0, self.cut or len(LARGE), 100_000):
                piece = LARGE[at:at + 100_000]
                await connection.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" if self.chunked else piece)
                self.sent += len(piece)
            if self.chunked:
                await connection.send(b"0\r\n\r\n")
            self.finished = time.monotonic()
            if self.cut or self.close:
                return


def wait_until(condition, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def ask(server):
    client = server.connect()
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    return client


@pytest.mark.parametrize("how", ["length", "chunked", "close"])
def test_an_upstream_is_done_before_its_slow_client(gatehouse, make_origin, how):
    sender = Sender(chunked=how == "chunked", close=how == "close")
    server = gatehouse(SITE.format(more=""), origin=make_origin(sender).port)
    client = ask(server)
    assert wait_until(lambda: sender.finished), f"the upstream waits for the client: {sender.sent} bytes"
    response = client.read_response()
    assert hashlib.sha256(response.body).digest() == hashlib.sha256(LARGE).digest()
    assert re.search(r"\[warn\].*an upstream response is buffered to a temporary file in \S*/spool while reading upstream, client: ", server.error_log())
    assert not list(pathlib.Path(server.directory, "spool").iterdir()), "the file has no name"


def settled(sender) -> int:
    """What the origin has got rid of once nothing moves any more."""
    while True:
        before = sender.sent
        time.sleep(0.3)
        if before == sender.sent:
            return before


@pytest.mark.parametrize("more", ["proxy_buffering off;", "proxy_max_temp_file_size 0;", "proxy_max_temp_file_size 1m;",
                                  "proxy_max_temp_file_size 0; proxy_buffers 32 64k;"])
def test_how_much_is_read_ahead(gatehouse, make_origin, more):
    sender = Sender()
    server = gatehouse(SITE.format(more=more), origin=make_origin(sender).port)
    client = ask(server)
    assert 0 < settled(sender) < len(LARGE) and not sender.finished
    assert client.read_response().body == LARGE
    assert ("temporary file" in server.error_log()) == ("1m" in more)


def test_x_accel_buffering(gatehouse, make_origin):
    class Unbuffered(Sender):
        async def __call__(self, connection):
            await connection.read_request()
            await connection.send(f"HTTP/1.1 200 OK\r\nX-Accel-Buffering: no\r\nContent-Length: {len(LARGE)}\r\n\r\n".encode())
            for at in range(0, len(LARGE), 100_000):
                await connection.send(LARGE[at:at + 100_000])
                self.sent += 100_000
            self.finished = time.monotonic()

    sender = Unbuffered()
    server = gatehouse(SITE.format(more=""), origin=make_origin(sender).port)
    client = ask(server)
    assert 0 < settled(sender) < len(LARGE)
    assert client.read_response().body == LARGE


def test_the_upstreams_connection_is_free_again(gatehouse, make_origin):
    sender = Sender()
    server = gatehouse("upstream u { server 127.0.0.1:@origin@; keepalive 1; } " + SITE.format(more='proxy_set_header Connection "";')
                       .replace("http://127.0.0.1:@origin@", "http://u"), origin=make_origin(sender).port, workers=1, log_level="debug")
    first = ask(server)
    server.wait_for_log("free keepalive peer: saving connection")
    second = ask(server)
    assert second.read_response().body == LARGE and first.read_response().body == LARGE
    assert sender.connections == 1


def test_an_upstream_that_fails_behind_what_it_sent(gatehouse, make_origin):
    sender = Sender(cut=70_000_000)
    server = gatehouse(SITE.format(more=""), origin=make_origin(sender).port)
    client = ask(server)
    assert wait_until(lambda: sender.finished)
    time.sleep(0.2)
    got = b""
    while piece := client.socket.recv(1 << 20):
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    assert b"Content-Length: 81920000" in head and body == LARGE[:70_000_000], "all that came is passed on, then the connection closed"
    server.wait_for_log(r"\[error\].*upstream prematurely closed connection while reading upstream")


def test_a_client_that_leaves_ends_the_reading(gatehouse, make_origin):
    ended = []

    async def endless(connection):
        await connection.read_request()
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                await connection.send(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
        finally:
            ended.append(True)

    server = gatehouse("access_log @dir@/own.log; " + SITE.format(more="proxy_max_temp_file_size 20m;"), origin=make_origin(endless).port)
    client = ask(server)
    server.wait_for_log(r"an upstream response is buffered to a temporary file")
    assert not ended
    client.close()
    assert wait_until(lambda: ended)
    server._wait_for("own.log", r'"GET / HTTP/1.1" 200 ', 10, 1)


def test_a_client_that_takes_nothing_is_given_up(gatehouse, make_origin):
    sender = Sender()
    server = gatehouse(SITE.format(more="send_timeout 1s; proxy_max_temp_file_size 1m;"), origin=make_origin(sender).port)
    client = ask(server)
    server.wait_for_log(r"client timed out")
    got = 0
    try:
        while piece := client.socket.recv(1 << 20):
            got += len(piece)
    except ConnectionResetError:
        pass
    assert 0 < got < len(LARGE)


def test_a_filter_beside_reading_ahead(gatehouse, make_origin):
    sender = Sender()
    server = gatehouse("limit_rate 60m; sub_filter_once off; " + SITE.format(more='sub_filter "ABC" "abc"; '), origin=make_origin(sender).port)
    client = ask(server)
    assert client.read_response().body == LARGE.replace(b"ABC", b"abc")


def test_a_client_with_a_rate_does_not_hold_the_upstream(gatehouse, make_origin):
    sender = Sender()
    server = gatehouse(SITE.format(more="limit_rate 20m;"), origin=make_origin(sender).port)
    began = time.monotonic()
    client = ask(server)
    assert client.read_response().body == LARGE
    assert sender.finished - began < 2 < time.monotonic() - began


def test_an_upstream_with_a_rate(gatehouse, make_origin):
    sender = Sender()
    server = gatehouse(SITE.format(more="limit_rate 60m; proxy_limit_rate 50m;"), origin=make_origin(sender).port)
    began = time.monotonic()
    client = ask(server)
    assert client.read_response().body == LARGE
    assert time.monotonic() - began > 0.9
