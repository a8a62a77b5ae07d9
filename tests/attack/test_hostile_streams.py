"""Hostile clients and upstreams of the stream block."""

import random
import socket
import time

import pytest

from harness.streams import TcpOrigin, UdpOrigin, read_all

LOG = "log_format all '$protocol $status $bytes_received/$bytes_sent'; access_log @dir@/access.log all;"


@pytest.fixture
def stream(gatehouse):
    def make(block: str, **values):
        return gatehouse("", main="stream {\n" + LOG + block + "\n}\n", **values)
    return make


@pytest.fixture
def tcp():
    origin = TcpOrigin()
    yield origin
    origin.stop()


def connect(server, name: str = "in") -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port(name)), timeout=10)


def end_of(client: socket.socket) -> bytes:
    try:
        return read_all(client)
    except ConnectionResetError:
        return b""


def test_a_hello_that_never_ends_is_cut_at_the_deadline_of_the_whole(stream, tcp):
    """One byte at a time: each of them must not begin the timeout anew."""
    server = stream("server { listen 127.0.0.1:@in@; ssl_preread on; preread_timeout 1s; proxy_pass 127.0.0.1:@origin@; }", origin=tcp.port)
    with connect(server) as client:
        client.sendall(b"\x16\x03\x01\x20\x00\x01\x00\x1f\xfc\x03\x03")
        began = time.monotonic()
        try:
            while time.monotonic() - began < 8:
                client.sendall(b"x")
                time.sleep(0.05)
        except OSError:
            pass
        assert time.monotonic() - began < 5
    server.wait_for_access("^TCP 200 0/0")
    assert tcp.accepted == 0


def test_a_hello_larger_than_the_buffer_is_refused(stream, tcp):
    server = stream("server { listen 127.0.0.1:@in@; ssl_preread on; preread_buffer_size 2k; proxy_pass 127.0.0.1:@origin@; }", origin=tcp.port)
    with connect(server) as client:
        client.sendall(b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc" + bytes(8000))
        assert end_of(client) == b""
    server.wait_for_access("^TCP 400 0/0")
    server.wait_for_log("preread buffer full while prereading client data, client: 127.0.0.1")
    assert tcp.accepted == 0


def test_garbage_hellos_reach_the_default_and_harm_nothing(stream, tcp):
    server = stream("""map $ssl_preread_server_name $up { default 127.0.0.1:@origin@; }
                       server { listen 127.0.0.1:@in@; ssl_preread on; preread_timeout 500ms; proxy_pass $up; }""", origin=tcp.port)
    generator = random.Random(20261127)
    for _ in range(60):
        body = generator.randbytes(generator.randrange(4, 200))
        message = b"\x16\x03\x01" + len(body).to_bytes(2, "big") + body
        with connect(server) as client:
            client.sendall(message)
            client.shutdown(socket.SHUT_WR)
            assert end_of(client) in (b"", message)
    with connect(server) as client:
        client.sendall(b"plain")
        assert client.recv(10) == b"plain"


@pytest.mark.parametrize("flood", [b"PROXY TCP4 " + b"1" * 5000, b"A" * 5000, b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff" + b"x" * 5000])
def test_a_flood_in_place_of_a_proxy_header_is_refused(stream, tcp, flood):
    server = stream("server { listen 127.0.0.1:@in@ proxy_protocol; proxy_pass 127.0.0.1:@origin@; }", origin=tcp.port)
    with connect(server) as client:
        client.sendall(flood)
        assert end_of(client) == b""
    server.wait_for_access("^TCP 400 0/0")
    server.wait_for_log(r"\[error\] .*broken header: .* while reading PROXY protocol, client: 127\.0\.0\.1")
    assert tcp.accepted == 0


def test_a_proxy_header_that_never_ends_is_cut_at_its_deadline(stream, tcp):
    server = stream("server { listen 127.0.0.1:@in@ proxy_protocol; proxy_protocol_timeout 500ms; proxy_pass 127.0.0.1:@origin@; }", origin=tcp.port)
    with connect(server) as client:
        client.sendall(b"PROXY TCP4 ")
        began = time.monotonic()
        assert end_of(client) == b""
        assert time.monotonic() - began < 5
    server.wait_for_log(r"client timed out \(110: Connection timed out\) while reading PROXY protocol")


def test_a_talkative_udp_server_is_no_amplifier(stream):
    """A forged client must not get more datagrams than proxy_responses says, whatever the upstream sends."""
    origin = UdpOrigin(lambda _: [b"x" * 1000] * 50)
    server = stream("server { listen 127.0.0.1:@in@ udp; proxy_responses 2; proxy_requests 10; proxy_timeout 500ms; proxy_pass 127.0.0.1:@origin@; }",
                    origin=origin.port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        client.sendto(b"?", ("127.0.0.1", server.port("in")))
        received = 0
        try:
            while client.recv(2000):
                received += 1
        except TimeoutError:
            pass
        assert received == 2
    server.wait_for_access("^UDP 200 1/2000")
    origin.stop()


def test_answers_come_from_the_server_that_was_asked_only(stream):
    """The upstream socket is connected: what others send to it does not reach the client."""
    ports = []
    origin = UdpOrigin(lambda _: None)
    server = stream("server { listen 127.0.0.1:@in@ udp; proxy_timeout 1s; proxy_pass 127.0.0.1:@origin@; }", origin=origin.port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:
        client.settimeout(0.5)
        client.sendto(b"?", ("127.0.0.1", server.port("in")))
        server.wait_for_log("udp proxy")
        deadline = time.monotonic() + 5
        while not origin.received and time.monotonic() < deadline:
            time.sleep(0.01)
        ports.append(origin.received[0][1])
        forger.sendto(b"forged", ports[0])
        with pytest.raises(TimeoutError):
            client.recv(100)
    origin.stop()


def test_clients_without_number_cannot_open_sessions_without_bound(stream):
    origin = UdpOrigin(lambda _: None)
    server = stream("server { listen 127.0.0.1:@in@ udp; proxy_timeout 20s; proxy_pass 127.0.0.1:@origin@; }",
                    origin=origin.port, connections=64, workers=1)
    server.allow_log("64 worker_connections are not enough")
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(300)]
    for client in clients:
        client.sendto(b"?", ("127.0.0.1", server.port("in")))
    server.wait_for_log("worker_connections are not enough")
    assert server.metric("gatehouse_stream_open_sessions") <= 64
    for client in clients:
        client.close()
    origin.stop()
    server.process.terminate()  # the sessions last longer than a drain should
    server.process.wait(20)


def test_datagrams_that_arrive_before_the_upstream_is_known_are_few(stream):
    """While a name is looked up, a client can make the server hold a handful of datagrams, not more."""
    dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    dns.bind(("127.0.0.1", 0))
    server = stream("""resolver 127.0.0.1:@dns@; resolver_timeout 1s;
                       server { listen 127.0.0.1:@in@ udp; proxy_pass slow.example:53; }""", dns=dns.getsockname()[1])
    before = server.memory()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for _ in range(2000):
            client.sendto(b"x" * 30000, ("127.0.0.1", server.port("in")))
        server.wait_for_access("^UDP 502")
    assert server.memory() - before < 16 << 20
    dns.close()


def test_a_slow_reader_of_tls_does_not_stop_others(stream, tcp, authority):
    pair = authority.issue("a.example.com")
    server = stream(f"server {{ listen 127.0.0.1:@in@ ssl; {pair.directives} ssl_handshake_timeout 1s; proxy_pass 127.0.0.1:@origin@; }}", origin=tcp.port)
    with connect(server) as silent, connect(server) as half:
        half.sendall(b"\x16\x03\x01\x02\x00\x01")
        with authority.client().wrap_socket(connect(server), server_hostname="a.example.com") as good:
            good.sendall(b"hello")
            assert good.recv(10) == b"hello"
        assert end_of(silent) == b""
        assert end_of(half) == b""
    server.wait_for_access("^TCP 500 0/0", count=2)
    server.wait_for_log("client timed out .* while SSL handshaking", count=2)
