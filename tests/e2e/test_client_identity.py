"""What tells clients apart: TLVs of the PROXY protocol, the cookie of userid."""

import re
import socket
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def proxy_v2(*tlvs: bytes) -> bytes:
    rest = socket.inet_aton("192.0.2.7") + socket.inet_aton("198.51.100.1") + struct.pack("!HH", 1234, 443) + b"".join(tlvs)
    return SIGNATURE + struct.pack("!BBH", 0x21, 0x11, len(rest)) + rest


def exchange(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(10)
        client.sendall(request)
        answer = b""
        while piece := client.recv(4096):
            answer += piece
    return answer


GET = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


def test_tlvs_of_the_proxy_protocol(gatehouse):
    server = gatehouse("""server { listen 127.0.0.1:@http@ proxy_protocol;
        return 200 "$proxy_protocol_addr|$proxy_protocol_tlv_0xea|$proxy_protocol_tlv_alpn|$proxy_protocol_tlv_ssl_cn|$proxy_protocol_tlv_ssl_verify|"; }""",
                       daemon_off=True)
    ssl = tlv(0x20, b"\x01" + struct.pack("!I", 0) + tlv(0x22, b"someone"))
    told = exchange(server.port(), proxy_v2(tlv(0xEA, b"\x01vpce-08d2bf15fac5001c9"), tlv(1, b"http/1.1"), ssl) + GET)
    assert told.endswith(b"192.0.2.7|\x01vpce-08d2bf15fac5001c9|http/1.1|someone|0|")
    assert exchange(server.port(), proxy_v2() + GET).endswith(b"192.0.2.7|||||")
    assert exchange(server.port(), b"PROXY TCP4 192.0.2.8 198.51.100.1 1 2\r\n" + GET).endswith(b"192.0.2.8|||||")


def test_tlvs_in_stream(gatehouse):
    server = gatehouse("", main="""stream { server { listen 127.0.0.1:@in@ proxy_protocol; return "$proxy_protocol_tlv_authority $proxy_protocol_tlv_0x5"; } }""")
    assert exchange(server.port("in"), proxy_v2(tlv(2, b"name.example"), tlv(5, b"id"))) == b"name.example id"


def test_uid_reset_gives_a_new_cookie(gatehouse):
    server = gatehouse("""map $arg_reset $uid_reset { default ""; zero "0"; yes 1; log log; }
        server { listen 127.0.0.1:@http@; userid on; userid_name uid; return 200 "$uid_got"; }""", log_level="notice")
    cookie = "uid=fwAAAV9eEABkQFx5AwMCAg=="
    known = server.request("/", headers={"Cookie": cookie})
    assert known.header("set-cookie") is None and known.body.startswith(b"uid=")
    assert server.request("/?reset=zero", headers={"Cookie": cookie}).header("set-cookie") is None
    for how in ("yes", "log"):
        fresh = server.request(f"/?reset={how}", headers={"Cookie": cookie}).header("set-cookie")
        assert fresh.startswith("uid=") and cookie not in fresh, how
    told = re.findall(r'\[notice\].*userid cookie "uid=[0-9A-F]{32}" was reset', server.error_log())
    assert len(told) == 1
