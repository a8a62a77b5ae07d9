"""The stream block: TCP and UDP sessions as a client, an origin and an operator see them."""

import hashlib
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from harness.ports import free_port
from harness.streams import TcpOrigin, UdpOrigin, read_all
from harness.tls import server_context

LOG = ("log_format all '$protocol $status $bytes_received/$bytes_sent up=$upstream_addr $upstream_bytes_sent/$upstream_bytes_received "
       "name=$ssl_preread_server_name';")


@pytest.fixture
def stream(gatehouse):
    """stream(block, **values): a server with this stream block; its access log has the format `all`."""
    def make(block: str, **values):
        main = values.pop("main", "") + "\nstream {\n" + LOG + "\naccess_log @dir@/access.log all;\n" + block + "\n}\n"
        return gatehouse("", main=main, **values)
    return make


@pytest.fixture
def tcp():
    made = []

    def make(*arguments, **options) -> TcpOrigin:
        made.append(TcpOrigin(*arguments, **options))
        return made[-1]

    yield make
    for origin in made:
        origin.stop()


@pytest.fixture
def udp():
    made = []

    def make(*arguments) -> UdpOrigin:
        made.append(UdpOrigin(*arguments))
        return made[-1]

    yield make
    for origin in made:
        origin.stop()


def connect(server, name: str = "in", timeout: float = 10.0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port(name)), timeout=timeout)


def ask(server, message: bytes, name: str = "in") -> bytes:
    """Sends a message and reads until the peer closes or as many bytes came back."""
    with connect(server, name) as client:
        client.sendall(message)
        received = b""
        while len(received) < len(message) and (piece := client.recv(65536)):
            received += piece
        return received


# --- TCP -----------------------------------------------------------------------------------------------------------------------


def test_bytes_go_both_ways_and_the_log_counts_them(stream, tcp):
    server = stream("server { listen 127.0.0.1:@in@; proxy_pass 127.0.0.1:@origin@; }", origin=tcp().port)
    assert ask(server, b"hello") == b"hello"
    server.wait_for_access(rf"^TCP 200 5/5 up=127\.0\.0\.1:{server.values['origin']} 5/5 name=-$")
    log = server.wait_for_log("client disconnected, bytes from/to client:5/5, bytes from/to upstream:5/5")
    assert re.search(rf"\*\d+ client 127\.0\.0\.1:\d+ connected to 127\.0\.0\.1:{server.port('in')}\n", log)
    assert re.search(rf"\*\d+ proxy 127\.0\.0\.1:\d+ connected to 127\.0\.0\.1:{server.values['origin']}\n", log)


def test_large_transfers_are_whole_and_slow_readers_cost_no_memory(stream, tcp):
    size = 64 << 20
    block = bytes(range(256)) * 256

    def origin(connection):
        for _ in range(size // len(block)):
            connection.sendall(block)

    server = stream("server { listen 127.0.0.1:@in@; proxy_pass 127.0.0.1:@origin@; }", origin=tcp(origin).port)
    before = server.memory()
    with connect(server) as slow, connect(server) as fast:
        digest, received = hashlib.sha256(), 0
        while piece := fast.recv(1 << 20):
            digest.update(piece)
            received += len(piece)
        assert received == size
        assert digest.hexdigest() == hashlib.sha256(block * (size // len(block))).hexdigest()
        assert slow.recv(10) == block[:10]
        assert server.memory() - before < 24 << 20
    server.wait_for_access("^TCP 200", count=2)


def test_an_upload_arrives_whole(stream, tcp):
    seen = []
    server = stream("server { listen 127.0.0.1:@in@; proxy_half_close on; proxy_pass 127.0.0.1:@origin@; }",
                    origin=tcp(lambda connection: seen.append(read_all(connection)) or connection.sendall(b"got it")).port)
    content = b"0123456789abcdef" * (1 << 20)
    with connect(server) as client:
        client.sendall(content)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"got it"
    assert seen[0] == content


def test_without_half_close_the_end_of_one_side_ends_both(stream, tcp):
    ended = threading.Event()

    def origin(connection):
        read_all(connection)
        ended.set()

    server = stream("server { listen 127.0.0.1:@in@; proxy_pass 127.0.0.1:@origin@; }", origin=tcp(origin).port)
    with connect(server) as client:
        client.sendall(b"x")
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b""
    assert ended.wait(5)


def test_a_silent_session_ends_after_proxy_timeout(stream, tcp):
    server = stream("server { listen 127.0.0.1:@in@; proxy_timeout 300ms; proxy_pass 127.0.0.1:@origin@; }", origin=tcp().port)
    with connect(server) as client:
        began = time.monotonic()
        assert client.recv(1) == b""
        assert 0.25 < time.monotonic() - began < 5
    server.wait_for_log(r"\[info\] .*connection timed out \(110: Connection timed out\) while proxying connection, client: 127\.0\.0\.1")
    server.wait_for_access("^TCP 200 0/0")


def test_download_rate_paces_the_upstream(stream, tcp):
    server = stream("server { listen 127.0.0.1:@in@; proxy_download_rate 64k; proxy_pass 127.0.0.1:@origin@; }",
                    origin=tcp(lambda connection: connection.sendall(bytes(160 << 10))).port)
    began = time.monotonic()
    with connect(server) as client:
        assert len(read_all(client)) == 160 << 10
    assert time.monotonic() - began > 1.5


def test_the_next_server_is_tried_and_the_failed_one_rests(stream, tcp):
    good = tcp()
    server = stream("""upstream pool { server 127.0.0.1:@dead@; server 127.0.0.1:@good@; }
                       server { listen 127.0.0.1:@in@; proxy_pass pool; }""", good=good.port, workers=1)
    for _ in range(4):
        assert ask(server, b"ping") == b"ping"
    log = server.wait_for_log(r"connect\(\) failed \(111: Connection refused\) while connecting to upstream, client: 127\.0\.0\.1, "
                              rf"server: 127\.0\.0\.1:{server.port('in')}, upstream: \"127\.0\.0\.1:{server.port('dead')}\", "
                              "bytes from/to client:0/0, bytes from/to upstream:0/0")
    assert log.count("connect() failed") == 1
    server.wait_for_access(rf"up=127\.0\.0\.1:{server.port('dead')}, 127\.0\.0\.1:{good.port} 0, 4/0, 4 ")
    assert server.metric("gatehouse_stream_upstream_connections_total", result="failed") == 1


def test_without_any_live_server_the_status_is_502(stream):
    server = stream("server { listen 127.0.0.1:@in@; proxy_pass 127.0.0.1:@dead@; }")
    with connect(server) as client:
        assert read_all(client) == b""
    server.wait_for_access(rf"^TCP 502 0/0 up=127\.0\.0\.1:{server.port('dead')} 0/0")


def test_a_backup_serves_when_the_primary_is_down(stream, tcp):
    server = stream("""upstream pool { server 127.0.0.1:@dead@; server 127.0.0.1:@good@ backup; }
                       server { listen 127.0.0.1:@in@; proxy_connect_timeout 1s; proxy_pass pool; }""", good=tcp().port)
    assert ask(server, b"ping") == b"ping"


def test_a_consistent_hash_keeps_clients_together(stream, tcp):
    origins = [tcp() for _ in range(3)]
    server = stream("""upstream pool { hash $remote_addr consistent; server 127.0.0.1:@a@; server 127.0.0.1:@b@; server 127.0.0.1:@c@; }
                       server { listen 127.0.0.1:@in@; proxy_pass pool; }""",
                    a=origins[0].port, b=origins[1].port, c=origins[2].port)
    for _ in range(6):
        assert ask(server, b"ping") == b"ping"
    assert sorted(origin.accepted for origin in origins) == [0, 0, 6]


def test_map_set_and_return(stream):
    server = stream("""map $remote_addr $who { 127.0.0.1 local; default other; }
                       server { listen 127.0.0.1:@in@; set $text "$who:$protocol"; return "$text\n"; }""")
    with connect(server) as client:
        assert read_all(client) == b"local:TCP\n"
    server.wait_for_access("^TCP 200 0/10 up=- -/- name=-$")


def test_geo_and_split_clients(stream):
    server = stream("""geo $where { default far; 127.0.0.0/8 near; }
                       split_clients $remote_addr $half { 0.01% rare; * usual; }
                       server { listen 127.0.0.1:@in@; return "$where $half"; }""")
    with connect(server) as client:
        assert read_all(client) == b"near usual"


def test_access_denies_by_address(stream, tcp):
    server = stream("server { listen 127.0.0.1:@in@; deny 127.0.0.0/8; proxy_pass 127.0.0.1:@origin@; }", origin=tcp().port)
    with connect(server) as client:
        assert read_all(client) == b""
    server.wait_for_access("^TCP 403 0/0 up=- ")
    server.wait_for_log(rf"\[error\] .*access forbidden by rule while initializing session, client: 127\.0\.0\.1, server: 127\.0\.0\.1:{server.port('in')}$")


def test_limit_conn_counts_over_all_threads(stream, tcp):
    server = stream("""limit_conn_zone $binary_remote_addr zone=peers:1m;
                       server { listen 127.0.0.1:@in@; limit_conn peers 2; proxy_pass 127.0.0.1:@origin@; }""", origin=tcp().port)
    held = [connect(server) for _ in range(2)]
    for client in held:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    for _ in range(4):
        with connect(server) as client:
            assert read_all(client) == b""
    server.wait_for_access("^TCP 503 ", count=4)
    server.wait_for_log('limiting connections by zone "peers" while initializing session, client: 127.0.0.1', count=4)
    for client in held:
        client.close()
    server.wait_for_access("^TCP 200 ", count=2)
    assert ask(server, b"again") == b"again"


def test_the_proxy_header_is_read_believed_and_sent_on(stream, tcp):
    heads = []

    def origin(connection):
        heads.append(connection.recv(1000))
        connection.sendall(b"ok")

    server = stream("""server { listen 127.0.0.1:@in@ proxy_protocol; set_real_ip_from 127.0.0.1; allow 192.0.2.0/24; deny all;
                       proxy_protocol on; proxy_pass 127.0.0.1:@origin@; }""", origin=tcp(origin).port)
    with connect(server) as client:
        client.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.8 5000 6000\r\nhello")
        assert read_all(client) == b"ok"
    assert heads[0].startswith(b"PROXY TCP4 192.0.2.7 127.0.0.1 5000 %d\r\n" % server.port("in"))
    with connect(server) as client:
        client.sendall(b"PROXY TCP4 198.51.100.7 192.0.2.8 5000 6000\r\n")
        assert client.recv(1) == b""
    server.wait_for_access("^TCP 403")


def test_proxy_bind_chooses_the_source_address(stream, tcp):
    peers = []
    server = stream("server { listen 127.0.0.1:@in@; proxy_bind 127.0.0.9; proxy_pass 127.0.0.1:@origin@; }",
                    origin=tcp(lambda connection: peers.append(connection.getpeername()[0]) or connection.sendall(b"!")).port)
    with connect(server) as client:
        assert read_all(client) == b"!"
    assert peers == ["127.0.0.9"]


def test_unix_sockets_on_both_sides(stream):
    server = stream("""server { listen unix:@dir@/in.sock; proxy_pass unix:@dir@/back.sock; }
                       server { listen unix:@dir@/back.sock; return "from $server_addr"; }""")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(server.directory / "in.sock"))
        assert read_all(client) == b"from unix:"


def test_pass_hands_a_connection_to_http_and_to_stream(gatehouse):
    server = gatehouse("server { listen 127.0.0.1:@http@; location / { return 200 \"http $remote_addr\"; } }",
                       main="""stream { server { listen 127.0.0.1:@in@; pass 127.0.0.1:@http@; }
                               server { listen 127.0.0.1:@first@; pass 127.0.0.1:@second@; }
                               server { listen 127.0.0.1:@second@; return "second"; }
                               server { listen 127.0.0.1:@loop@; pass 127.0.0.1:@loop@; } }""")
    assert server.request("/", port="in").body == b"http 127.0.0.1"
    with connect(server, "first") as client:
        assert read_all(client) == b"second"
    with connect(server, "loop") as client:
        assert read_all(client) == b""
    server.wait_for_log("cycle while passing connections")


# --- TLS -----------------------------------------------------------------------------------------------------------------------


def test_tls_ends_here_and_begins_anew_to_the_upstream(stream, tcp, authority):
    front, back = authority.issue("mail.example.com"), authority.issue("backend.internal")
    server = stream(f"""server {{ listen 127.0.0.1:@in@ ssl; {front.directives} ssl_alpn imap;
                        proxy_ssl on; proxy_ssl_verify on; proxy_ssl_name backend.internal; proxy_ssl_server_name on;
                        proxy_ssl_trusted_certificate {authority.pair.certificate}; proxy_pass 127.0.0.1:@origin@; }}""",
                    origin=tcp(tls=server_context(back)).port)
    context = authority.client(alpn=["imap"])
    with context.wrap_socket(connect(server), server_hostname="mail.example.com") as client:
        client.sendall(b"secret")
        assert client.recv(100) == b"secret"
        assert client.selected_alpn_protocol() == "imap"
    server.wait_for_access("^TCP 200 6/6")


def test_an_upstream_with_the_wrong_certificate_is_not_talked_to(stream, tcp, authority):
    server = stream(f"""server {{ listen 127.0.0.1:@in@; proxy_ssl on; proxy_ssl_verify on; proxy_ssl_name other.internal;
                        proxy_ssl_trusted_certificate {authority.pair.certificate}; proxy_pass 127.0.0.1:@origin@; }}""",
                    origin=tcp(tls=server_context(authority.issue("backend.internal"))).port)
    with connect(server) as client:
        assert read_all(client) == b""
    server.wait_for_log('upstream SSL certificate does not match "other.internal" while SSL handshaking to upstream')
    server.wait_for_access("^TCP 502")


def test_certificates_and_servers_are_chosen_by_name(stream, authority):
    one, two = authority.issue("one.example.com"), authority.issue("two.example.com")
    server = stream(f"""server {{ listen 127.0.0.1:@in@ ssl; server_name one.example.com; {one.directives} return "one"; }}
                        server {{ listen 127.0.0.1:@in@ ssl; server_name *.example.com; {two.directives} return "two $ssl_server_name"; }}""")
    for name, text in (("one.example.com", b"one"), ("two.example.com", b"two two.example.com")):
        with authority.client().wrap_socket(connect(server), server_hostname=name) as client:
            assert read_all(client) == text


def test_sni_routes_unread_tls_to_real_servers(stream, authority, tmp_path):
    """Two `openssl s_server`s, each with a certificate of its own, behind one port."""
    origins = []
    ports = {}
    for name in ("git", "web"):
        pair, ports[name] = authority.issue(f"{name}.example.com"), free_port()
        origins.append(subprocess.Popen(
            ["openssl", "s_server", "-accept", f"127.0.0.1:{ports[name]}", "-cert", pair.certificate, "-key", pair.key, "-quiet", "-rev"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    try:
        server = stream("""map $ssl_preread_server_name $backend { git.example.com git; default web; }
                           upstream git { server 127.0.0.1:@git@; }
                           upstream web { server 127.0.0.1:@web@; }
                           log_format hello '$ssl_preread_server_name $ssl_preread_protocol $ssl_preread_alpn_protocols $upstream_addr';
                           server { listen 127.0.0.1:@in@; ssl_preread on; access_log @dir@/hello.log hello; proxy_pass $backend; }""",
                        git=ports["git"], web=ports["web"])
        deadline = time.monotonic() + 10
        for port in ports.values():
            while time.monotonic() < deadline:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.05)
        for name in ("git", "web"):
            done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port('in')}", "-servername", f"{name}.example.com",
                                   "-alpn", "h2,http/1.1", "-CAfile", str(authority.pair.certificate), "-verify_hostname",
                                   f"{name}.example.com", "-verify_return_error", "-quiet"],
                                  input=b"hello\nCLOSE\n", capture_output=True, timeout=20, check=False)
            assert b"olleh" in done.stdout, done.stderr
        text = _wait_for_file(server.directory / "hello.log", 2)
        assert f"git.example.com TLSv1.3 h2,http/1.1 127.0.0.1:{ports['git']}" in text
        assert f"web.example.com TLSv1.3 h2,http/1.1 127.0.0.1:{ports['web']}" in text
    finally:
        for origin in origins:
            origin.kill()
            origin.wait()


def test_openssl_s_client_gets_through_a_prereading_server(stream, tcp, authority):
    server = stream("server { listen 127.0.0.1:@in@; ssl_preread on; proxy_pass 127.0.0.1:@origin@; }",
                    origin=tcp(tls=server_context(authority.issue("a.example.com"))).port)
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port('in')}", "-servername", "a.example.com",
                           "-CAfile", str(authority.pair.certificate), "-verify_return_error"],
                          input=b"Q\n", capture_output=True, timeout=20, check=False)
    assert b"Verify return code: 0 (ok)" in done.stdout
    server.wait_for_access("name=a.example.com$")


def _wait_for_file(path, lines: int) -> str:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        text = path.read_text() if path.exists() else ""
        if text.count("\n") >= lines:
            return text
        time.sleep(0.02)
    raise AssertionError(f"{path} has not {lines} lines")


# --- UDP -----------------------------------------------------------------------------------------------------------------------


def test_datagrams_of_several_clients_find_their_way_back(stream, udp):
    origin = udp(lambda datagram: datagram[::-1])
    server = stream("server { listen 127.0.0.1:@in@ udp; proxy_responses 1; proxy_timeout 5s; proxy_pass 127.0.0.1:@origin@; }", origin=origin.port)
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(20)]
    for round_number in range(3):
        for number, client in enumerate(clients):
            client.settimeout(10)
            client.sendto(b"%d:%d" % (round_number, number), ("127.0.0.1", server.port("in")))
        for number, client in enumerate(clients):
            answer, sender = client.recvfrom(100)
            assert answer == (b"%d:%d" % (round_number, number))[::-1]
            assert sender == ("127.0.0.1", server.port("in"))
    for client in clients:
        client.close()
    server.wait_for_access("^UDP 200 ", count=60)
    server.wait_for_log(r"udp done, packets from/to client:1/1, bytes from/to client:\d+/\d+, bytes from/to upstream:", count=60)


def test_a_wildcard_socket_answers_from_the_address_that_was_asked(stream, udp):
    server = stream("server { listen @in@ udp; proxy_responses 1; proxy_pass 127.0.0.1:@origin@; }", origin=udp().port)
    for address in ("127.0.0.1", "127.0.0.5"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(10)
            client.sendto(b"who?", (address, server.port("in")))
            assert client.recvfrom(100) == (b"who?", (address, server.port("in")))


def test_one_udp_session_carries_many_datagrams(stream, udp):
    origin = udp()
    server = stream("server { listen 127.0.0.1:@in@ udp; proxy_timeout 500ms; proxy_pass 127.0.0.1:@origin@; }", origin=origin.port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        for number in range(50):
            client.sendto(b"%d" % number, ("127.0.0.1", server.port("in")))
            assert client.recv(100) == b"%d" % number
    assert len({sender for _, sender in origin.received}) == 1
    server.wait_for_log("udp timed out, packets from/to client:50/50")
    server.wait_for_access("^UDP 200 90/90")


def test_proxy_requests_begins_a_new_session(stream, udp):
    origin = udp()
    server = stream("server { listen 127.0.0.1:@in@ udp; proxy_requests 2; proxy_responses 1; proxy_pass 127.0.0.1:@origin@; }", origin=origin.port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        for number in range(6):
            client.sendto(b"%d" % number, ("127.0.0.1", server.port("in")))
            assert client.recv(100) == b"%d" % number
    assert len({sender for _, sender in origin.received}) == 3
    server.wait_for_access("^UDP 200 2/2", count=3)


def test_a_silent_udp_upstream_is_a_failure_when_answers_are_expected(stream, udp):
    server = stream("server { listen 127.0.0.1:@in@ udp; proxy_responses 1; proxy_timeout 300ms; proxy_pass 127.0.0.1:@origin@; }",
                    origin=udp(lambda _: None).port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"hello", ("127.0.0.1", server.port("in")))
        server.wait_for_access("^UDP 502 5/0")
    server.wait_for_log(r"upstream timed out \(110: Connection timed out\) while proxying connection, udp client: 127\.0\.0\.1")


def test_a_refusing_udp_server_is_passed_over(stream, udp):
    server = stream("""upstream dns { server 127.0.0.1:@dead@; server 127.0.0.1:@good@; }
                       server { listen 127.0.0.1:@in@ udp; proxy_responses 1; proxy_timeout 3s; proxy_pass dns; }""",
                    good=udp().port, workers=1)
    for _ in range(4):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(10)
            client.sendto(b"query", ("127.0.0.1", server.port("in")))
            assert client.recv(100) == b"query"
    server.wait_for_log(r"recv\(\) failed \(111: Connection refused\) while proxying and reading from upstream, udp client")


def test_tcp_and_udp_share_a_port(stream, tcp, udp):
    server = stream("""server { listen 127.0.0.1:@in@; proxy_pass 127.0.0.1:@tcp@; }
                       server { listen 127.0.0.1:@in@ udp; proxy_responses 1; proxy_pass 127.0.0.1:@udp@; }""", tcp=tcp().port, udp=udp().port)
    assert ask(server, b"over tcp") == b"over tcp"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.sendto(b"over udp", ("127.0.0.1", server.port("in")))
        assert client.recv(100) == b"over udp"


# --- operation -----------------------------------------------------------------------------------------------------------------


def test_a_reload_keeps_sessions_and_sends_new_ones_elsewhere(stream, tcp, udp):
    first = tcp(lambda connection: [connection.sendall(b"first:" + piece) for piece in iter(lambda: connection.recv(100), b"")])
    second = tcp(lambda connection: [connection.sendall(b"second:" + piece) for piece in iter(lambda: connection.recv(100), b"")])
    server = stream("""server { listen 127.0.0.1:@in@; proxy_pass 127.0.0.1:@origin@; }
                       server { listen 127.0.0.1:@dns@ udp; proxy_responses 1; proxy_pass 127.0.0.1:@udp@; }""",
                    origin=first.port, udp=udp().port)
    kept = connect(server)
    kept.sendall(b"a")
    assert kept.recv(100) == b"first:a"
    failures, stop = [], threading.Event()

    def load():
        while not stop.is_set():
            try:
                with connect(server) as client:
                    client.sendall(b"x")
                    if not client.recv(100).endswith(b":x"):
                        failures.append("tcp")
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                    client.settimeout(5)
                    client.sendto(b"q", ("127.0.0.1", server.port("dns")))
                    if client.recv(10) != b"q":
                        failures.append("udp")
            except OSError as error:
                failures.append(repr(error))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    server.values["origin"] = str(second.port)
    server.configure()
    for count in range(1, 4):
        server.signal(signal.SIGHUP)
        server.wait_for_log("reconfigured", count=count)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    kept.sendall(b"b")
    assert kept.recv(100) == b"first:b"
    with connect(server) as client:
        client.sendall(b"c")
        assert client.recv(100) == b"second:c"
    kept.close()


def test_a_shutdown_waits_for_sessions_up_to_its_timeout(stream, tcp):
    server = stream("server { listen 127.0.0.1:@in@; proxy_pass 127.0.0.1:@origin@; }", main="worker_shutdown_timeout 1s;", origin=tcp().port)
    with connect(server) as client:
        client.sendall(b"a")
        assert client.recv(1) == b"a"
        began = time.monotonic()
        server.signal(signal.SIGQUIT)
        server.wait_for_log("gracefully shutting down")
        client.sendall(b"b")
        assert client.recv(1) == b"b"
        assert client.recv(1) == b""
        assert 0.8 < time.monotonic() - began < 10


def test_a_new_program_takes_over_tcp_and_udp_sockets(stream, tcp, udp):
    server = stream("""server { listen 127.0.0.1:@in@; proxy_pass 127.0.0.1:@origin@; }
                       server { listen 127.0.0.1:@in@ udp; proxy_responses 1; proxy_pass 127.0.0.1:@udp@; }""", origin=tcp().port, udp=udp().port)
    old = server.pid
    held = connect(server)
    held.sendall(b"a")
    assert held.recv(1) == b"a"
    server.signal(signal.SIGUSR2)
    deadline = time.monotonic() + 20
    while not (server.pid_file.exists() and server.pid_file.read_text().strip() not in ("", str(old))):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    fresh = server.pid
    os.kill(old, signal.SIGQUIT)
    held.sendall(b"b")
    assert held.recv(1) == b"b"
    held.close()
    assert server.process.wait(20) == 0
    assert ask(server, b"over tcp") == b"over tcp"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        for number in range(20):
            client.sendto(b"%d" % number, ("127.0.0.1", server.port("in")))
            assert client.recv(100) == b"%d" % number
    os.kill(fresh, signal.SIGQUIT)
    while server.processes():
        assert time.monotonic() < deadline + 20
        time.sleep(0.02)


def test_metrics_tell_of_every_stream_server(stream, tcp):
    server = stream("server { listen 127.0.0.1:@in@; server_name db; proxy_pass 127.0.0.1:@origin@; }", origin=tcp().port)
    with connect(server) as client:
        client.sendall(b"12345")
        assert client.recv(10) == b"12345"
        assert server.metric("gatehouse_stream_open_sessions", server="db") == 1
    server.wait_for_access("^TCP 200")
    assert server.metric("gatehouse_stream_sessions_total", server="db", status="200") == 1
    assert server.metric("gatehouse_stream_bytes_total", server="db", direction="received") == 5
    assert server.metric("gatehouse_stream_bytes_total", server="db", direction="sent") == 5
    assert server.metric("gatehouse_stream_open_sessions", server="db") == 0
    assert server.metric("gatehouse_upstream_peer_up", peer=f"127.0.0.1:{server.values['origin']}") == 1


def test_an_address_of_http_and_stream_is_refused(gatehouse):
    server = gatehouse("server { listen 127.0.0.1:@in@; location / { return 200; } }",
                       main='stream { server { listen 127.0.0.1:@in@; return "x"; } }', start=False)
    server.configure()
    done = subprocess.run(server.command(), capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode != 0
    assert "is the address of a server of http and of a server of stream" in done.stderr + server.error_log()
