"""Upgrades: a WebSocket through the proxy."""

import time

import pytest

from harness.websocket import BINARY, CLOSE, WebSocket, echo_origin

TUNNEL = """server {
    listen 127.0.0.1:@http@ @tls@; @certificate@
    location / {
        proxy_pass http://127.0.0.1:@origin@;
        proxy_set_header Host $host;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
        @more@
    }
}"""


@pytest.fixture
def tunnel(gatehouse, make_origin):
    def make(tls="", certificate="", more="", **options):
        return gatehouse(TUNNEL, origin=make_origin(echo_origin).port, tls=tls, certificate=certificate, more=more, **options)
    return make


@pytest.mark.smoke
def test_messages_are_echoed(tunnel):
    socket = WebSocket(tunnel().connect())
    assert socket.response.status == 101
    for size in (0, 1, 125, 126, 1000, 60000):
        socket.echo(b"x" * size)
    socket.send(b"\0\xff" * 100, BINARY)
    assert socket.receive() == (BINARY, b"\0\xff" * 100)
    socket.send(b"\x03\xe8", CLOSE)
    assert socket.receive() == (CLOSE, b"\x03\xe8")
    socket.client.assert_closed()


def test_over_tls(tunnel, authority):
    server = tunnel(tls="ssl", certificate=authority.issue("localhost").directives)
    socket = WebSocket(server.connect(tls=authority.client(), name="localhost"))
    assert socket.response.status == 101
    socket.echo(b"over TLS")


def test_a_client_that_vanishes_ends_the_origin_s_side(tunnel, make_origin, gatehouse):
    origin = make_origin(echo_origin)
    server = gatehouse(TUNNEL, origin=origin.port, tls="", certificate="", more="")
    socket = WebSocket(server.connect())
    socket.echo(b"here")
    socket.client.reset()
    server.wait_for_access(" 101 ")


def test_an_idle_tunnel_ends_by_proxy_read_timeout(tunnel):
    socket = WebSocket(tunnel(more="proxy_read_timeout 1s;").connect())
    socket.echo(b"x")
    socket.client.assert_closed(timeout=5)


def test_traffic_in_one_direction_keeps_a_tunnel(tunnel):
    socket = WebSocket(tunnel(more="proxy_read_timeout 2s;").connect())
    for _ in range(6):
        socket.echo(b"x")
        time.sleep(0.5)


def test_a_refused_upgrade_is_an_ordinary_answer(gatehouse, origin):
    server = gatehouse(TUNNEL, origin=origin.port, tls="", certificate="", more="")
    client = server.connect()
    socket = WebSocket(client)
    assert socket.response.status == 200
    assert client.request("/").status == 200


def test_a_location_without_upgrade_headers_opens_no_tunnel(gatehouse, make_origin):
    """As in nginx, the upgrade goes up only where the configuration says so."""
    server = gatehouse("server { listen 127.0.0.1:@http@; location / { proxy_pass http://127.0.0.1:@origin@; } }",
                       origin=make_origin(echo_origin).port)
    assert WebSocket(server.connect()).response.status == 426


def test_a_large_message_flows_both_ways(tunnel):
    """Megabytes in frames, with the client reading only after it has sent a part: buffers are bounded, nothing is lost."""
    socket = WebSocket(tunnel().connect())
    for _ in range(20):
        for _ in range(8):
            socket.send(b"y" * 60000)
        for _ in range(8):
            assert socket.receive()[1] == b"y" * 60000


def test_the_access_log_tells_the_bytes_of_a_tunnel(tunnel):
    server = tunnel()
    socket = WebSocket(server.connect())
    socket.echo(b"x" * 1000)
    socket.client.close()
    log = server.wait_for_access('"GET /ws HTTP/1.1" 101 ')
    assert int(log.split('" 101 ')[1].split(" ")[0]) >= 1000
