"""TLS 1.3 early data: a request that comes along with the ClientHello of a resumed session."""

import subprocess
import time

import pytest

SERVER = """server {{ listen 127.0.0.1:@http@ ssl; {pair} ssl_protocols TLSv1.2 TLSv1.3; ssl_early_data {value}; keepalive_timeout 60s;
    location / {{ return 200 "[$ssl_early_data$ssl_session_reused]"; }}
    location /origin {{ proxy_pass http://127.0.0.1:@origin@; proxy_set_header Early-Data $ssl_early_data; }} }}"""


def s_client(server, *arguments, text: bytes, until: str = "]", directory) -> str:
    """What the openssl client shows of a connection on which it sends `text` behind the handshake, until that was seen (or 5 s)."""
    shown = directory / "shown"
    with shown.open("wb") as out:
        client = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port()}", "-servername", "localhost", "-tls1_3",
                                   *map(str, arguments)], stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT)
        client.stdin.write(text)
        client.stdin.flush()
        deadline = time.monotonic() + 5
        while until not in (seen := shown.read_text(errors="replace")) and client.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        client.communicate(timeout=20)
    return seen


PLAIN = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def early(server, directory, request: bytes, then: bytes = b"", until: str = "]") -> str:
    session, data = directory / "session", directory / "early"
    data.write_bytes(request)
    s_client(server, "-sess_out", session, text=PLAIN, directory=directory)
    return s_client(server, "-sess_in", session, "-early_data", data, text=then, until=until, directory=directory)


@pytest.fixture(params=["gatehouse", "nginx"])
def make(request):
    return request.getfixturevalue(request.param)


def test_a_request_in_early_data(make, authority, tmp_path, origin):
    server = make(SERVER.format(pair=authority.issue("localhost").directives, value="on"), origin=origin.port)
    seen = early(server, tmp_path, PLAIN, then=PLAIN, until="[r]")
    assert "Early data was accepted" in seen
    assert "[r]" in seen, "the second request came behind the handshake"
    # On a busy machine nginx may have read the handshake's end before it answers; Gatehouse answers first.
    assert "[1r]" in seen or server.flavour == "nginx", "the first request was early"


def test_an_origin_is_told(make, authority, tmp_path, origin):
    server = make(SERVER.format(pair=authority.issue("localhost").directives, value="on"), origin=origin.port)
    early(server, tmp_path, b"POST /origin HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n" + b"x" * 9000, until="HTTP/1.1 200")
    assert origin.requests[-1].header("Early-Data") == "1" or server.flavour == "nginx"
    assert len(origin.requests[-1].body) == 9000


def test_a_body_that_goes_on_behind_the_handshake(make, authority, tmp_path, origin):
    server = make(SERVER.format(pair=authority.issue("localhost").directives, value="on"), origin=origin.port)
    seen = early(server, tmp_path, b"POST /origin HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000\r\n\r\n" + b"a" * 1000, then=b"b" * 2000, until="HTTP/1.1 200")
    assert "Early data was accepted" in seen
    assert origin.requests[-1].body == b"a" * 1000 + b"b" * 2000


def test_off_is_the_default_and_the_request_is_not_taken(make, authority, tmp_path, origin):
    server = make(SERVER.format(pair=authority.issue("localhost").directives, value="off"), origin=origin.port)
    s_client(server, "-sess_out", tmp_path / "session", text=PLAIN, directory=tmp_path)
    seen = s_client(server, "-sess_in", tmp_path / "session", text=PLAIN, directory=tmp_path)
    assert "[r]" in seen and "Early data was not sent" in seen


def test_a_large_answer_to_early_data(gatehouse, authority, tmp_path, make_origin):
    from harness.origin import reply
    big = make_origin()
    big.answer = lambda request: reply(200, b"y" * 300_000 + b"!")
    server = gatehouse(SERVER.format(pair=authority.issue("localhost").directives, value="on"), origin=big.port)
    seen = early(server, tmp_path, b"GET /origin HTTP/1.1\r\nHost: localhost\r\n\r\n", until="y" * 1000 + "!")
    assert seen.count("y") >= 300_000
