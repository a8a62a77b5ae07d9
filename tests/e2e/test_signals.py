"""Signals as nginx understands them."""

import asyncio
import signal
import threading
import time

import pytest

from harness.websocket import WebSocket, echo_origin

SITE = "server {{ listen 127.0.0.1:@http@; {} location / {{ proxy_pass http://127.0.0.1:@origin@; }} }}"


@pytest.fixture
def slow(gatehouse, make_origin):
    """A server whose origin answers `/slow` after a second."""
    async def handler(connection):
        while request := await connection.read_request():
            arrived.set()
            if request.target == "/slow":
                await asyncio.sleep(1)
            await connection.reply(200, b"answer")

    arrived = threading.Event()
    server = gatehouse(SITE.format(""), origin=make_origin(handler).port)
    server.arrived = arrived
    return server


@pytest.mark.smoke
def test_quit_finishes_what_is_running(slow):
    client = slow.connect()
    client.send_request("/slow")
    assert slow.arrived.wait(5)
    slow.signal(signal.SIGQUIT)
    response = client.read_response()
    assert (response.status, response.body) == (200, b"answer")
    client.assert_closed()
    assert slow.process.wait(10) == 0
    assert not slow.pid_file.exists()


def test_quit_stops_accepting_and_closes_idle_connections(slow):
    busy, idle = slow.connect(), slow.connect()
    assert idle.request("/").status == 200
    busy.send_request("/slow")
    slow.arrived.wait(5)
    slow.signal(signal.SIGQUIT)
    idle.assert_closed(timeout=5)
    deadline = time.monotonic() + 5
    while slow.accepts():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert busy.read_response().status == 200


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_term_and_int_end_at_once(gatehouse, make_origin, which):
    async def never(connection):
        await connection.read_request()
        await asyncio.sleep(60)

    server = gatehouse(SITE.format(""), origin=make_origin(never).port)
    client = server.connect()
    client.send_request("/")
    time.sleep(0.2)
    started = time.monotonic()
    server.signal(which)
    assert server.process.wait(15) == 0
    assert time.monotonic() - started < 10
    assert not server.pid_file.exists()
    client.read_to_end()


def test_worker_shutdown_timeout_ends_a_tunnel(gatehouse, make_origin):
    server = gatehouse("""server { listen 127.0.0.1:@http@; location / { proxy_pass http://127.0.0.1:@origin@;
        proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; } }""", main="worker_shutdown_timeout 1s;",
                       origin=make_origin(echo_origin).port)
    socket = WebSocket(server.connect())
    socket.echo(b"x")
    server.signal(signal.SIGQUIT)
    socket.client.assert_closed(timeout=15)
    assert server.process.wait(15) == 0


@pytest.mark.smoke
def test_usr1_reopens_the_logs(gatehouse, origin):
    server = gatehouse(SITE.format(""), origin=origin.port)
    server.request("/before")
    server.wait_for_access("/before")
    for name in ("access.log", "error.log"):
        (server.directory / name).rename(server.directory / f"old-{name}")
    server.signal(signal.SIGUSR1)
    deadline = time.monotonic() + 10
    while not all((server.directory / name).exists() for name in ("access.log", "error.log")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    deadline = time.monotonic() + 10
    while "/after" not in "".join(server.access_log()):
        server.request("/after")
        assert time.monotonic() < deadline
    assert "/before" in (server.directory / "old-access.log").read_text()
    assert "/before" not in "".join(server.access_log())


def test_hangups_in_quick_succession(gatehouse, origin):
    """However many reloads pile up, the last configuration wins and requests go on."""
    server = gatehouse('server { listen 127.0.0.1:@http@; return 200 "@version@"; }', version="0")
    for number in range(1, 21):
        server.values["version"] = str(number)
        server.configure()
        server.signal(signal.SIGHUP)
        assert server.request("/").status == 200
    deadline = time.monotonic() + 15
    while server.request("/").body != b"20":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_ignored_pipe_signal(gatehouse, make_origin):
    """Clients that vanish in the middle of a response do not end the server."""
    origin = make_origin()
    origin.answer = lambda request: b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n" + b"x" * 4_000_000
    server = gatehouse(SITE.format(""), origin=origin.port)
    for _ in range(20):
        client = server.connect()
        client.send_request("/")
        client.read_head()
        client.reset()
    assert len(server.request("/").body) == 4_000_000


def test_keepalive_min_timeout_outlasts_a_graceful_shutdown(gatehouse):
    server = gatehouse("""keepalive_timeout 60s; server { listen 127.0.0.1:@http@;
        location / { return 200 "x"; } location /kept { keepalive_min_timeout 3s; return 200 "x"; } }""", workers=1)
    kept, other = server.connect(), server.connect()
    assert kept.request("/kept").status == 200
    assert other.request("/").status == 200
    server.signal(signal.SIGQUIT)
    assert other.socket.recv(1) == b"", "an idle connection closes at once"
    last = kept.request("/kept")
    assert last.status == 200 and last.header("connection") == "close"
    assert kept.socket.recv(1) == b""
    server.wait_for_log(r"\[notice\].* exit$")


def test_keepalive_min_timeout_ends(gatehouse):
    server = gatehouse("""keepalive_timeout 60s; server { listen 127.0.0.1:@http@; keepalive_min_timeout 700ms;
        location / { return 200 "x"; } }""", workers=1)
    client = server.connect()
    assert client.request("/").status == 200
    server.signal(signal.SIGQUIT)
    assert client.socket.recv(1) == b"", "unused, it closes once the time is over"
    server.wait_for_log(r"\[notice\].* exit$")
