"""The same stream configuration on Gatehouse and on Debian's nginx: what clients see, access log lines, error log lines."""

import pathlib
import re
import socket
import time

import pytest

from harness.server import Nginx, Server
from harness.streams import TcpOrigin, UdpOrigin, read_all
from harness.tls import server_context

MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"
pytestmark = pytest.mark.skipif(not pathlib.Path(MODULE).exists(), reason="nginx's stream module is not installed")

# Everything but times and numbers of connections.
LOG = ("log_format all '$remote_addr $protocol $status $bytes_sent $bytes_received up=$upstream_addr us=$upstream_bytes_sent "
       "ur=$upstream_bytes_received $server_addr $server_port pp=$proxy_protocol_addr:$proxy_protocol_port "
       "real=$realip_remote_addr sni=$ssl_preread_server_name/$ssl_preread_protocol/$ssl_preread_alpn_protocols "
       "tls=$ssl_protocol/$ssl_server_name';")


class StreamNginx(Nginx):
    """nginx with its stream module, which must be loaded before the block is read."""

    def _flavoured_main(self) -> list[str]:
        return []


class Both:
    """One configuration, two servers, the same client's actions on both, and what came of them."""

    def __init__(self, block: str, **values: object) -> None:
        main = "stream {\n" + LOG + "\naccess_log @dir@/access.log all;\n" + block + "\n}\n"
        self.received = True
        self.servers = [Server("", main=main, workers=1, **values),
                        StreamNginx("", main=f"load_module {MODULE};\n" + main, workers=1, **values)]

    def compare(self, act, lines: int = 1, received: bool = True) -> list[list[str]]:
        """Runs `act(server)` on both; their results and their logs must be equal. Returns the access logs.

        `received=False`: but for the bytes received. nginx 1.22 does not count what it read ahead, later versions do.
        """
        self.received = received
        results, access, errors = [], [], []
        for server in self.servers:
            server.start()
            results.append(act(server))
            server.wait_for_access("^", count=lines + 1)
            time.sleep(0.05)
            access.append([self._normal(server, line) for line in server.access_log()])
            errors.append(sorted(self._events(server)))  # what happens at once is logged in either order
        assert results[0] == results[1]
        assert access[0] == access[1]
        assert errors[0] == errors[1]
        return access

    def _normal(self, server: Server, text: str) -> str:
        for name, value in server.values.items():
            if name not in ("dir", "admin"):
                text = re.sub(rf"\b{value}\b", f"<{name}>", text)
        if not self.received:
            text = re.sub(r"^(\S+ \S+ \d+ \d+) \d+", r"\1 <received>", text)
            text = re.sub(r"from/to client:\d+/", "from/to client:<received>/", text)
        text = re.sub(r'(broken header: "[^ ]*).*', r"\1", text)  # its line ends are blanks here
        return re.sub(r"(127\.0\.0\.\d+:)\d{4,5}", r"\1<port>", text)

    def _events(self, server: Server) -> list[str]:
        """Level and text of the lines about connections."""
        events = re.findall(r"\[(\w+)\] \d+#\d+: \*\d+ (.*)", server.error_log())
        return sorted(self._normal(server, f"{level} {text}") for level, text in events)

    def stop(self) -> None:
        try:
            for server in self.servers:
                server.stop()
        finally:
            for server in self.servers:
                server.discard()


@pytest.fixture
def both():
    made = []

    def make(block: str, **values) -> Both:
        made.append(Both(block, **values))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def origin():
    made = []

    def make(kind=TcpOrigin, *arguments, **options):
        made.append(kind(*arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def tcp(server: Server, message: bytes = b"", half_close: bool = False) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port("in")), timeout=10) as client:
        client.sendall(message)
        if half_close:
            client.shutdown(socket.SHUT_WR)
        try:
            return read_all(client)
        except ConnectionResetError:
            return b"reset"


def udp(server: Server, *messages: bytes, timeout: float = 5.0) -> list[bytes]:
    answers = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(timeout)
        for message in messages:
            client.sendto(message, ("127.0.0.1", server.port("in")))
            try:
                answers.append(client.recv(65535))
            except TimeoutError:
                answers.append(b"nothing")
    return answers


def answer_once(connection: socket.socket) -> None:
    connection.sendall(b"got " + connection.recv(1000))


def test_a_plain_session(both, origin):
    logs = both("server { listen 127.0.0.1:@in@; proxy_pass 127.0.0.1:@up@; }", up=origin(TcpOrigin, answer_once).port).compare(
        lambda server: tcp(server, b"hello"))
    assert "200 9 5" in logs[0][0]


def test_the_client_ends_first(both, origin):
    both("server { listen 127.0.0.1:@in@; proxy_pass 127.0.0.1:@up@; }", up=origin(TcpOrigin, lambda c: read_all(c) and None).port).compare(
        lambda server: tcp(server, b"hello", half_close=True))


def test_half_close(both, origin):
    up = origin(TcpOrigin, lambda connection: connection.sendall(b"%d bytes" % len(read_all(connection))))
    both("server { listen 127.0.0.1:@in@; proxy_half_close on; proxy_pass 127.0.0.1:@up@; }", up=up.port).compare(
        lambda server: tcp(server, b"x" * 100000, half_close=True))


def test_a_dead_upstream(both):
    both("server { listen 127.0.0.1:@in@; proxy_pass 127.0.0.1:1; }").compare(tcp)


def test_failover_and_no_live_upstreams(both, origin):
    both("upstream pool { server 127.0.0.1:1; server 127.0.0.1:@up@; } server { listen 127.0.0.1:@in@; proxy_pass pool; }",
         up=origin(TcpOrigin, answer_once).port).compare(lambda server: [tcp(server, b"a"), tcp(server, b"b")], lines=2)
    both("upstream pool { server 127.0.0.1:1; server 127.0.0.1:2; } server { listen 127.0.0.1:@in@; proxy_pass pool; }").compare(
        lambda server: [tcp(server), tcp(server)], lines=2)


def test_no_next_upstream(both, origin):
    both("upstream pool { server 127.0.0.1:1; server 127.0.0.1:@up@; } server { listen 127.0.0.1:@in@; proxy_next_upstream off; proxy_pass pool; }",
         up=origin(TcpOrigin, answer_once).port).compare(lambda server: tcp(server))


def test_denied(both):
    both("server { listen 127.0.0.1:@in@; deny all; proxy_pass 127.0.0.1:1; }").compare(tcp)


def test_limited(both, origin):
    def act(server):
        with socket.create_connection(("127.0.0.1", server.port("in")), timeout=10) as held:
            held.sendall(b"x")
            assert held.recv(1) == b"x"
            return tcp(server)

    both("limit_conn_zone $binary_remote_addr zone=z:1m; server { listen 127.0.0.1:@in@; limit_conn z 1; proxy_pass 127.0.0.1:@up@; }",
         up=origin().port).compare(act, lines=2)


def test_return_and_variables(both):
    both("map $server_port $what { default x; } server { listen 127.0.0.1:@in@; return \"$remote_addr $protocol $what $bytes_received\n\"; }"
         ).compare(tcp)


def test_an_idle_session(both, origin):
    both("server { listen 127.0.0.1:@in@; proxy_timeout 200ms; proxy_pass 127.0.0.1:@up@; }", up=origin().port).compare(tcp)


@pytest.mark.parametrize("header", [b"PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\nhello", b"PROXY UNKNOWN\r\nhello", b"nonsense\r\n\r\n"])
def test_proxy_protocol(both, origin, header):
    up = origin(TcpOrigin, answer_once)
    both("server { listen 127.0.0.1:@in@ proxy_protocol; set_real_ip_from 127.0.0.1; proxy_pass 127.0.0.1:@up@; }", up=up.port).compare(
        lambda server: tcp(server, header))


def test_the_proxy_header_for_the_upstream(both, origin):
    up = origin(TcpOrigin, lambda c: c.sendall(re.sub(rb"\d{4,5} \d{4,5}", b"PORTS", c.recv(1000))))
    both("server { listen 127.0.0.1:@in@; proxy_protocol on; proxy_pass 127.0.0.1:@up@; }", up=up.port).compare(tcp)


def test_preread_of_a_hello(both, origin, authority):
    up = origin(TcpOrigin, tls=server_context(authority.issue("a.example.com")))

    def act(server):
        context = authority.client(alpn=["h2", "http/1.1"])
        raw = socket.create_connection(("127.0.0.1", server.port("in")), timeout=10)
        with context.wrap_socket(raw, server_hostname="a.example.com") as client:
            client.sendall(b"secret")
            return client.recv(100)

    logs = both("""log_format hello '$status $ssl_preread_server_name $ssl_preread_protocol $ssl_preread_alpn_protocols';
                   server { listen 127.0.0.1:@in@; ssl_preread on; access_log @dir@/access.log hello; proxy_pass 127.0.0.1:@up@; }""",
                up=up.port)
    results, access = [], []
    for server in logs.servers:
        server.start()
        results.append(act(server))
        server.wait_for_access("^200")
        access.append(server.access_log())
    assert results == [b"secret", b"secret"]
    assert access[0] == access[1] == ["200 a.example.com TLSv1.3 h2,http/1.1"]


@pytest.mark.parametrize("message", [b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\x16\x02\x01\x00\x05hello", b"\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03"])
def test_preread_of_something_else(both, origin, message):
    both("server { listen 127.0.0.1:@in@; ssl_preread on; preread_timeout 300ms; proxy_pass 127.0.0.1:@up@; }",
         up=origin(TcpOrigin, answer_once).port).compare(lambda server: tcp(server, message), received=False)


def test_preread_that_never_ends(both):
    both("server { listen 127.0.0.1:@in@; ssl_preread on; preread_timeout 300ms; proxy_pass 127.0.0.1:1; }").compare(
        lambda server: tcp(server, b"\x16\x03\x01"), received=False)


def test_a_full_preread_buffer(both):
    hello = b"\x16\x03\x01\x10\x00\x01\x00\x20\x00" + bytes(4000)
    both("server { listen 127.0.0.1:@in@; ssl_preread on; preread_buffer_size 1k; proxy_pass 127.0.0.1:1; }").compare(
        lambda server: tcp(server, hello).replace(b"reset", b""), received=False)


def test_tls_that_ends_here(both, origin, authority):
    pair = authority.issue("a.example.com")

    def act(server):
        raw = socket.create_connection(("127.0.0.1", server.port("in")), timeout=10)
        with authority.client().wrap_socket(raw, server_hostname="a.example.com") as client:
            client.sendall(b"secret")
            return read_all(client)  # to the end: whoever hangs up first is logged

    both(f"server {{ listen 127.0.0.1:@in@ ssl; {pair.directives} ssl_protocols TLSv1.2 TLSv1.3; proxy_pass 127.0.0.1:@up@; }}",
         up=origin(TcpOrigin, answer_once).port).compare(act)


def test_plain_bytes_on_a_tls_port(both, authority):
    pair = authority.issue("a.example.com")
    servers = both(f"server {{ listen 127.0.0.1:@in@ ssl; {pair.directives} ssl_protocols TLSv1.2 TLSv1.3; proxy_pass 127.0.0.1:1; }}")
    access = []
    for server in servers.servers:
        server.start()
        tcp(server, b"GET / HTTP/1.0\r\n\r\n")
        server.wait_for_access("TCP 500 0 0")
        access.append(servers._normal(server, server.access_log()[0]))
    assert access[0] == access[1]


def test_datagrams(both, origin):
    up = origin(UdpOrigin, lambda datagram: datagram[::-1])
    both("server { listen 127.0.0.1:@in@ udp; proxy_responses 1; proxy_timeout 2s; proxy_pass 127.0.0.1:@up@; }", up=up.port).compare(
        lambda server: udp(server, b"abc", b"defg"), lines=2)


def test_datagrams_without_an_end(both, origin):
    up = origin(UdpOrigin, lambda datagram: datagram[::-1])
    both("server { listen 127.0.0.1:@in@ udp; proxy_timeout 300ms; proxy_pass 127.0.0.1:@up@; }", up=up.port).compare(
        lambda server: udp(server, b"abc", b"defg"))


def test_datagrams_without_an_answer(both, origin):
    up = origin(UdpOrigin, lambda _: None)
    both("server { listen 127.0.0.1:@in@ udp; proxy_responses 1; proxy_timeout 300ms; proxy_pass 127.0.0.1:@up@; }", up=up.port).compare(
        lambda server: udp(server, b"abc", timeout=0.5))
    both("server { listen 127.0.0.1:@in@ udp; proxy_responses 0; proxy_timeout 300ms; proxy_pass 127.0.0.1:@up@; }", up=up.port).compare(
        lambda server: udp(server, b"abc", timeout=0.5))


def test_datagrams_in_groups(both, origin):
    up = origin(UdpOrigin)
    both("server { listen 127.0.0.1:@in@ udp; proxy_requests 2; proxy_responses 1; proxy_timeout 1s; proxy_pass 127.0.0.1:@up@; }", up=up.port).compare(
        lambda server: udp(server, b"a", b"b", b"c", b"d"), lines=2)
