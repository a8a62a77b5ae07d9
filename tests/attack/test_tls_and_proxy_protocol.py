"""Bytes of the wrong protocol, TLS names that do not agree, and PROXY headers that lie (rows 58, 67, 68)."""

import socket
import ssl
import struct

import pytest

from harness.client import Client

HELLO = "server {{ listen 127.0.0.1:@http@ {}; return 200 \"$remote_addr $proxy_protocol_addr\"; {} }}"


def test_row_58_tls_hello_on_a_plain_port(gatehouse):
    """Row 58: a TLS hello is not answered in plain text."""
    server = gatehouse(HELLO.format("", ""))
    raw = socket.create_connection(("127.0.0.1", server.port()), timeout=5)
    context = ssl.create_default_context()
    with pytest.raises((ssl.SSLError, ConnectionError, OSError)):
        context.wrap_socket(raw, server_hostname="localhost")
    client = server.connect()
    client.send(b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"\0" * 100)
    client.assert_closed()


def test_row_58_plain_request_on_a_tls_port(gatehouse, authority):
    """Row 58: a plain request on the TLS port is told so, with 400."""
    server = gatehouse(HELLO.format("ssl", authority.issue("localhost").directives))
    client = server.connect()
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    response = client.read_response()
    assert response.status == 400
    assert b"plain HTTP request" in response.body
    client.assert_closed()


def test_row_58_rubbish_on_a_tls_port(gatehouse, authority):
    """Row 58: rubbish ends the connection and nothing else."""
    server = gatehouse(HELLO.format("ssl", authority.issue("localhost").directives))
    for rubbish in (b"\0" * 100, b"\x16\x03\x01\xff\xff" + b"\1" * 500, b"\x80\x2e\x01\x00\x02" + b"\0" * 40, bytes(range(256))):
        client = server.connect()
        client.send(rubbish)
        client.finish()
        client.read_to_end()
    assert server.request("/", tls=authority.client()).status == 200


def test_row_58_a_handshake_that_never_comes(gatehouse, authority):
    """A connection that stays silent before its handshake ends by the handshake's own time."""
    server = gatehouse(HELLO.format("ssl", authority.issue("localhost").directives))
    client = server.connect()
    client.assert_closed(timeout=20)


TWO_POLICIES = """
server {{ listen 127.0.0.1:@http@ ssl; server_name open.example; {open} return 200 "open"; }}
server {{ listen 127.0.0.1:@http@ ssl; server_name closed.example; {closed} return 200 "closed";
         ssl_verify_client on; ssl_client_certificate {ca}; }}
"""


@pytest.fixture
def two_policies(gatehouse, authority):
    return gatehouse(TWO_POLICIES.format(open=authority.issue("open.example").directives,
                                         closed=authority.issue("closed.example").directives, ca=authority.pair.certificate))


def test_row_67_host_of_a_stricter_server(two_policies, authority):
    """Row 67: a connection made for one name cannot ask a server with another policy for client certificates."""
    response = two_policies.connect(tls=authority.client(), name="open.example").request("/", host="closed.example")
    assert response.status == 421


def test_row_67_host_of_the_same_server_is_served(two_policies, authority):
    assert two_policies.connect(tls=authority.client(), name="open.example").request("/", host="open.example").body == b"open"


def test_row_67_a_session_of_one_policy_is_not_resumed_under_another(two_policies, authority):
    """CVE-2025-23419: a ticket of the open server does not open the closed one."""
    context = authority.client(versions=("TLSv1_3", "TLSv1_3"))
    first = two_policies.connect(tls=context, name="open.example")
    assert first.request("/", host="open.example").status == 200
    session = first.socket.session
    raw = socket.create_connection(("127.0.0.1", two_policies.port()), timeout=5)
    try:
        second = context.wrap_socket(raw, server_hostname="closed.example", session=session)
        second.sendall(b"GET / HTTP/1.1\r\nHost: closed.example\r\nConnection: close\r\n\r\n")
        answer = second.recv(4096)
    except (ssl.SSLError, ConnectionError):
        return
    assert b"closed" not in answer.split(b"\r\n\r\n")[-1].replace(b"closed</", b"") and not answer.startswith(b"HTTP/1.1 200")


# --- PROXY protocol ------------------------------------------------------------------------------------------------------------

V2 = b"\r\n\r\n\0\r\nQUIT\n"
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
TRUSTING = "set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol;"


def v2(payload: bytes, *, command: int = 0x21, family: int = 0x11) -> bytes:
    return V2 + bytes([command, family]) + struct.pack(">H", len(payload)) + payload


ADDRESSES = socket.inet_aton("192.0.2.7") + socket.inet_aton("127.0.0.1") + struct.pack(">HH", 4711, 80)


def crc32c(message: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in message:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def with_crc(right: bool) -> bytes:
    unchecked = v2(ADDRESSES + b"\x03\x00\x04" + b"\0" * 4)
    value = crc32c(unchecked) if right else 0xDEADBEEF
    return unchecked[:-4] + struct.pack(">I", value)


def send(server, header: bytes) -> Client:
    client = server.connect()
    client.send(header + REQUEST)
    return client


@pytest.mark.parametrize("header", [b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n", v2(ADDRESSES), with_crc(True),
                                    v2(ADDRESSES + b"\x04\x00\x03abc")], ids=["v1", "v2", "v2 with CRC", "v2 with padding"])
def test_row_68_a_good_header_names_the_client(gatehouse, header):
    """Row 68: the client's address comes from the PROXY header of a trusted peer."""
    server = gatehouse(HELLO.format("proxy_protocol", TRUSTING))
    assert send(server, header).read_response().body == b"192.0.2.7 192.0.2.7"


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", v2(b"", command=0x20, family=0)],
                         ids=["v1 unknown", "v1 unknown with text", "v2 local"])
def test_row_68_a_header_without_address_keeps_the_connection_s_own(gatehouse, header):
    """Row 68: UNKNOWN and LOCAL leave the address alone."""
    server = gatehouse(HELLO.format("proxy_protocol", TRUSTING))
    assert send(server, header).read_response().body.split(b" ")[0] == b"127.0.0.1"


@pytest.mark.parametrize("header", [
    b"", b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\n", b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 99999\r\n",
    b"PROXY TCP4 192.0.2.777 127.0.0.1 4711 80\r\n", b"PROXY TCP5 192.0.2.7 127.0.0.1 4711 80\r\n", b"proxy TCP4 192.0.2.7 127.0.0.1 1 2\r\n",
    b"PROXY UNKNOWN " + b"x" * 100 + b"\r\n", with_crc(False), v2(b"\0" * 4), v2(ADDRESSES + b"\x04\x0f\xff" + b"\0" * 4095),
    v2(ADDRESSES, command=0x31), v2(ADDRESSES, command=0x2f), v2(ADDRESSES + b"\x04\x00\xffabc"),
], ids=["absent", "LF", "port", "address", "family", "lower case", "v1 over 107 bytes", "CRC", "short", "v2 over 4 kB", "version",
        "command", "TLV past the end"])
def test_row_68_a_bad_header_ends_the_connection(gatehouse, header):
    """Row 68: anything but a well-formed header, where one is demanded, is closed without an answer."""
    server = gatehouse(HELLO.format("proxy_protocol", TRUSTING))
    send(server, header).assert_closed()


def test_row_68_a_header_that_never_ends(gatehouse):
    """Row 68: half a header does not hold a connection for long."""
    server = gatehouse(HELLO.format("proxy_protocol", TRUSTING))
    client = server.connect()
    client.send(b"PROXY TCP4 192.0.2.7")
    client.assert_closed(timeout=15)


def test_row_68_a_header_from_an_untrusted_peer(gatehouse):
    """Row 68: a peer that is not trusted cannot choose its address; its connection ends."""
    server = gatehouse(HELLO.format("proxy_protocol", "set_real_ip_from 192.0.2.0/24; real_ip_header proxy_protocol;"))
    send(server, b"PROXY TCP4 10.1.2.3 127.0.0.1 4711 80\r\n").assert_closed()


def test_row_68_a_header_byte_by_byte(gatehouse):
    """Row 68: how finely the header arrives does not matter."""
    server = gatehouse(HELLO.format("proxy_protocol", TRUSTING))
    client = server.connect()
    client.send_bytewise(v2(ADDRESSES) + REQUEST)
    assert client.read_response().body == b"192.0.2.7 192.0.2.7"


def test_row_68_no_header_is_expected_on_an_ordinary_port(gatehouse):
    """Row 68: where no PROXY header is configured, one is a bad request."""
    server = gatehouse(HELLO.format("", ""))
    client = send(server, b"PROXY TCP4 10.1.2.3 127.0.0.1 4711 80\r\n")
    assert client.read_response().status == 400
