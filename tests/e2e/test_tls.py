"""TLS on both sides: names, key types, versions, resumption, client certificates, verified upstreams."""

import asyncio
import signal
import socket
import ssl

import pytest

from harness.origin import reply
from harness.tls import Authority, server_context

TELL = 'return 200 "$ssl_protocol $ssl_server_name $ssl_client_verify $ssl_session_reused";'


def told(server, context, name) -> list[str]:
    return server.connect(tls=context, name=name).request("/", host=name).body.decode().split(" ")


def subject(client) -> str:
    return dict(pair[0] for pair in client.socket.getpeercert()["subject"])["commonName"]


@pytest.mark.smoke
def test_a_request_over_tls(gatehouse, authority, origin):
    server = gatehouse(f"""server {{ listen 127.0.0.1:@http@ ssl; {authority.issue("localhost").directives}
        location / {{ proxy_pass http://127.0.0.1:@origin@; proxy_set_header X-Forwarded-Proto $scheme; }} }}""", origin=origin.port)
    client = server.connect(tls=authority.client(), name="localhost")
    for _ in range(3):
        assert client.request("/").status == 200
    assert origin.requests[0].header("x-forwarded-proto") == "https"


def test_certificates_are_chosen_by_name(gatehouse, authority):
    blocks = "".join(f"server {{ listen 127.0.0.1:@http@ ssl; server_name {names}; {authority.issue(*names.split()).directives} {TELL} }}"
                     for names in ("default.example", "a.example", "*.wild.example", "exact.wild.example"))
    server = gatehouse(blocks)
    context = authority.client()
    context.check_hostname = False
    for name, expected in [("a.example", "a.example"), ("x.wild.example", "*.wild.example"), ("exact.wild.example", "exact.wild.example"),
                           ("unknown.example", "default.example"), ("A.EXAMPLE", "a.example")]:
        assert subject(server.connect(tls=context, name=name)) == expected, name


def test_a_client_without_sni_gets_the_default(gatehouse, authority):
    server = gatehouse(f"server {{ listen 127.0.0.1:@http@ ssl; {authority.issue('default.example').directives} {TELL} }}")
    context = authority.client()
    context.check_hostname = False
    client = server.connect(tls=context)
    assert subject(client) == "default.example"
    assert client.request("/").status == 200


@pytest.mark.parametrize(("ciphers", "kind"), [("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDSA"), ("ECDHE-RSA-AES128-GCM-SHA256", "RSA")])
def test_an_ecdsa_and_an_rsa_pair_together(gatehouse, authority, ciphers, kind):
    server = gatehouse(f"""server {{ listen 127.0.0.1:@http@ ssl; {authority.issue("localhost").directives}
                           {authority.issue("localhost", kind="rsa").directives} {TELL} }}""")
    client = server.connect(tls=authority.client(versions=("TLSv1_2", "TLSv1_2"), ciphers=ciphers), name="localhost")
    assert kind in client.socket.cipher()[0]
    assert client.request("/").status == 200


@pytest.mark.parametrize(("offered", "version"), [("TLSv1_2", "TLSv1.2"), ("TLSv1_3", "TLSv1.3")])
def test_both_versions(gatehouse, authority, offered, version):
    server = gatehouse(f"server {{ listen 127.0.0.1:@http@ ssl; {authority.issue('localhost').directives} {TELL} }}")
    assert told(server, authority.client(versions=(offered, offered)), "localhost")[0] == version


def test_a_version_that_is_not_configured_is_refused(gatehouse, authority):
    server = gatehouse(f"server {{ listen 127.0.0.1:@http@ ssl; ssl_protocols TLSv1.3; {authority.issue('localhost').directives} {TELL} }}")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        server.connect(tls=authority.client(versions=("TLSv1_2", "TLSv1_2")), name="localhost")


def test_alpn_picks_http_1_1(gatehouse, authority):
    server = gatehouse(f"server {{ listen 127.0.0.1:@http@ ssl; {authority.issue('localhost').directives} {TELL} }}")
    client = server.connect(tls=authority.client(alpn=["http/1.1"]), name="localhost")
    assert client.socket.selected_alpn_protocol() == "http/1.1"
    assert client.request("/").status == 200


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("cache", ["ssl_session_tickets on;", "ssl_session_tickets off; ssl_session_cache shared:e2e:1m;"], ids=["ticket", "cache"])
def test_sessions_are_resumed(gatehouse, authority, version, cache):
    server = gatehouse(f"server {{ listen 127.0.0.1:@http@ ssl; {cache} {authority.issue('localhost').directives} {TELL} }}")
    context = authority.client(versions=(version, version))
    first = server.connect(tls=context, name="localhost")
    assert first.request("/", host="localhost").body.split(b" ")[-1] == b"."
    session = first.socket.session
    first.close()
    raw = socket.create_connection(("127.0.0.1", server.port()), timeout=10)
    second = context.wrap_socket(raw, server_hostname="localhost", session=session)
    assert second.session_reused
    second.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = b""
    while piece := second.recv(4096):
        answer += piece
    assert answer.endswith(b" r")


def test_resumption_survives_a_reload(gatehouse, authority):
    server = gatehouse(f"server {{ listen 127.0.0.1:@http@ ssl; {authority.issue('localhost').directives} {TELL} }}")
    context = authority.client()
    first = server.connect(tls=context, name="localhost")
    first.request("/", host="localhost")
    session = first.socket.session
    server.signal(signal.SIGHUP)
    server.wait_for_log("reconfigur|reload", count=1)
    raw = socket.create_connection(("127.0.0.1", server.port()), timeout=10)
    with context.wrap_socket(raw, server_hostname="localhost", session=session) as second:
        assert second.session_reused


CLIENTS = """server {{ listen 127.0.0.1:@http@ ssl; {pair} ssl_verify_client {mode}; ssl_client_certificate {ca};
             location / {{ return 200 "$ssl_client_verify $ssl_client_s_dn"; }} }}"""


@pytest.mark.parametrize("mode", ["on", "optional"])
def test_a_good_client_certificate(gatehouse, authority, mode):
    server = gatehouse(CLIENTS.format(pair=authority.issue("localhost").directives, mode=mode, ca=authority.pair.certificate))
    context = authority.client(certificate=authority.issue("alice", usage="clientAuth"))
    assert server.connect(tls=context, name="localhost").request("/").body == b"SUCCESS CN=alice"


@pytest.mark.parametrize(("mode", "status", "body"), [("on", 400, None), ("optional", 200, b"NONE ")])
def test_no_client_certificate(gatehouse, authority, mode, status, body):
    server = gatehouse(CLIENTS.format(pair=authority.issue("localhost").directives, mode=mode, ca=authority.pair.certificate))
    response = server.connect(tls=authority.client(), name="localhost").request("/")
    assert response.status == status
    assert body is None or response.body == body


@pytest.mark.parametrize(("mode", "status"), [("on", 400), ("optional", 400), ("optional_no_ca", 200)])
def test_a_client_certificate_of_a_stranger(gatehouse, authority, tmp_path, mode, status):
    stranger = Authority(tmp_path / "stranger", "Stranger")
    server = gatehouse(CLIENTS.format(pair=authority.issue("localhost").directives, mode=mode, ca=authority.pair.certificate))
    context = authority.client(certificate=stranger.issue("mallory", usage="clientAuth"))
    response = server.connect(tls=context, name="localhost").request("/")
    assert response.status == status
    if status == 200:
        assert response.body.startswith(b"FAILED")


def test_reject_handshake(gatehouse, authority):
    server = gatehouse(f"""server {{ listen 127.0.0.1:@http@ ssl default_server; ssl_reject_handshake on; }}
        server {{ listen 127.0.0.1:@http@ ssl; server_name a.example; {authority.issue("a.example").directives} {TELL} }}""")
    assert told(server, authority.client(), "a.example")[1] == "a.example"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        server.connect(tls=authority.client(), name="b.example")


def test_a_large_response_over_tls(gatehouse, authority, make_origin):
    origin = make_origin()
    origin.answer = lambda request: reply(200, bytes(range(256)) * 40_000)
    server = gatehouse(f"""server {{ listen 127.0.0.1:@http@ ssl; {authority.issue("localhost").directives}
        location / {{ proxy_pass http://127.0.0.1:@origin@; }} }}""", origin=origin.port)
    assert server.request("/", tls=authority.client()).body == bytes(range(256)) * 40_000


def test_a_handshake_in_pieces(gatehouse, authority):
    """How finely the handshake's bytes arrive does not matter."""
    server = gatehouse(f"server {{ listen 127.0.0.1:@http@ ssl; {authority.issue('localhost').directives} {TELL} }}")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = authority.client().wrap_bio(incoming, outgoing, server_hostname="localhost")
    client = server.connect()
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            client.send_bytewise(outgoing.read(), pause=0.0005)
            incoming.write(client.socket.recv(1 << 14))
    tls.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    client.send_bytewise(outgoing.read(), pause=0.0005)
    answer = b""
    while b"\r\n\r\n" not in answer:
        incoming.write(client.socket.recv(1 << 14))
        try:
            answer += tls.read()
        except ssl.SSLWantReadError:
            pass
    assert answer.startswith(b"HTTP/1.1 200 ")


# --- towards upstreams -----------------------------------------------------------------------------------------------------------

UPSTREAM = "server {{ listen 127.0.0.1:@http@; location / {{ proxy_pass https://127.0.0.1:@origin@; {} }} }}"


@pytest.mark.smoke
def test_a_tls_upstream(gatehouse, authority, make_origin):
    origin = make_origin(tls=server_context(authority.issue("origin.example")))
    server = gatehouse(UPSTREAM.format(""), workers=1, origin=origin.port)
    client = server.connect()
    for _ in range(3):
        assert client.request("/").status == 200
    assert origin.connections == 1


@pytest.mark.parametrize(("directives", "status"), [
    ("proxy_ssl_verify on; proxy_ssl_trusted_certificate {ca}; proxy_ssl_name origin.example;", 200),
    ("proxy_ssl_verify on; proxy_ssl_trusted_certificate {ca}; proxy_ssl_name other.example;", 502),
    ("proxy_ssl_verify on; proxy_ssl_trusted_certificate {stranger}; proxy_ssl_name origin.example;", 502),
    ("proxy_ssl_trusted_certificate {stranger};", 200),
], ids=["good", "wrong name", "unknown authority", "not verified"])
def test_upstream_verification(gatehouse, authority, make_origin, tmp_path, directives, status):
    stranger = Authority(tmp_path / "stranger", "Stranger")
    origin = make_origin(tls=server_context(authority.issue("origin.example")))
    server = gatehouse(UPSTREAM.format(directives.format(ca=authority.pair.certificate, stranger=stranger.pair.certificate)),
                       origin=origin.port)
    assert server.request("/").status == status
    if status == 502:
        server.wait_for_log("upstream SSL certificate")


def test_upstream_sni(gatehouse, authority, make_origin):
    seen = []
    context = server_context(authority.issue("origin.example"))
    context.sni_callback = lambda _socket, name, _context: seen.append(name)
    origin = make_origin(tls=context)
    server = gatehouse(UPSTREAM.format("proxy_ssl_server_name on; proxy_ssl_name sni.example;"), origin=origin.port)
    assert server.request("/").status == 200
    assert seen == ["sni.example"]


def test_a_client_certificate_for_the_upstream(gatehouse, authority, make_origin):
    origin = make_origin(tls=server_context(authority.issue("origin.example"), client_authority=authority))
    own = authority.issue("gatehouse", usage="clientAuth")
    without = gatehouse(UPSTREAM.format(""), origin=origin.port)
    assert without.request("/").status == 502
    server = gatehouse(UPSTREAM.format(f"proxy_ssl_certificate {own.certificate}; proxy_ssl_certificate_key {own.key};"), origin=origin.port)
    assert server.request("/").status == 200


def test_an_upstream_that_never_shakes_hands(gatehouse, make_origin):
    async def silent(connection):
        await asyncio.sleep(5)

    server = gatehouse(UPSTREAM.format("proxy_connect_timeout 1s;"), origin=make_origin(silent).port)
    assert server.request("/").status == 504
