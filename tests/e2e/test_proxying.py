"""HTTP/1.1 through the proxy: what the origin gets, what the client gets, and what stays in memory."""

import asyncio
import base64
import json
import threading
import time

import pytest

from harness.client import Closed
from harness.origin import reply
from harness.server import is_sanitized

HTTP = "server {{ listen 127.0.0.1:@http@; {} location / {{ proxy_pass http://127.0.0.1:@origin@; }} }}"
MB = 1 << 20


@pytest.mark.smoke
def test_a_request_reaches_the_origin_and_its_answer_the_client(gatehouse, origin):
    server = gatehouse(HTTP.format(""), origin=origin.port)
    response = server.request("/a/b?c=d%2fe&f=+", method="POST", body=b"hello", headers={"X-Custom": "one", "User-Agent": "test"})
    request = origin.requests[0]
    assert response.status == 200
    assert response.header("x-origin") == "origin"
    assert (request.line, request.body, request.framing) == ("POST /a/b?c=d%2fe&f=+ HTTP/1.1", b"hello", "length")
    assert request.header("x-custom") == "one"
    assert request.header("user-agent") == "test"
    assert request.header("host") == f"127.0.0.1:{origin.port}"


def test_both_sides_keep_their_connections(gatehouse, origin):
    server = gatehouse(HTTP.format(""), workers=1, origin=origin.port)
    client = server.connect()
    for number in range(20):
        assert client.request(f"/{number}").status == 200
    assert [request.target for request in origin.requests] == [f"/{number}" for number in range(20)]
    assert origin.connections == 1


def test_http_1_0_without_keep_alive_closes(gatehouse, origin):
    server = gatehouse(HTTP.format(""), origin=origin.port)
    client = server.connect()
    client.send("GET / HTTP/1.0\r\n\r\n")
    assert client.read_response().status == 200
    client.assert_closed()


def test_http_1_0_with_keep_alive_stays(gatehouse, origin):
    server = gatehouse(HTTP.format(""), origin=origin.port)
    client = server.connect()
    for _ in range(2):
        client.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
        response = client.read_response()
        assert (response.status, response.header("connection")) == (200, "keep-alive")


def test_a_chunked_answer_for_an_http_1_0_client_has_no_chunks(gatehouse, make_origin):
    origin = make_origin()
    origin.answer = lambda request: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    server = gatehouse(HTTP.format(""), origin=origin.port)
    client = server.connect()
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    response = client.read_response()
    assert (response.body, response.header("transfer-encoding")) == (b"hello", None)


@pytest.mark.smoke
def test_a_request_in_single_bytes(gatehouse, origin):
    server = gatehouse(HTTP.format(""), origin=origin.port)
    client = server.connect()
    client.send_bytewise(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
    assert client.read_response().status == 200
    assert origin.requests[0].body == b"hello"


@pytest.mark.smoke
@pytest.mark.parametrize("buffering", ["on", "off"])
def test_a_chunked_request_body(gatehouse, origin, buffering):
    """Passed on as it comes it stays chunked; buffered first it may get a length."""
    server = gatehouse(HTTP.format(f"proxy_request_buffering {buffering};"), origin=origin.port)
    client = server.connect()
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n", "6\r\n world\r\n", "0\r\n\r\n", pause=0.05)
    assert client.read_response().status == 200
    assert origin.requests[0].body == b"hello world"
    assert origin.requests[0].framing in (("chunked",) if buffering == "off" else ("chunked", "length"))


@pytest.mark.smoke
def test_a_chunked_response_comes_as_it_is_made(gatehouse, make_origin):
    """The first piece is with the client before the second is made."""
    second = asyncio.Event()

    async def handler(connection):
        await connection.read_request()
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await asyncio.wait_for(second.wait(), 10)
        await connection.send(b"6\r\nsecond\r\n0\r\n\r\n")

    origin = make_origin(handler)
    server = gatehouse(HTTP.format("proxy_buffering off;"), origin=origin.port)
    client = server.connect()
    client.send_request("/")
    head = client.read_head()
    assert head.header("transfer-encoding") == "chunked"
    assert client._read_until(b"first\r\n").endswith(b"first\r\n")
    from harness.origin import _loop
    _loop().loop.call_soon_threadsafe(second.set)
    assert client._read_until(b"0\r\n\r\n") == b"6\r\nsecond\r\n0\r\n\r\n"


def test_trailers_of_a_response(gatehouse, make_origin):
    """Trailers go on to a client that says it takes them."""
    origin = make_origin()
    origin.answer = lambda request: (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n"
                                     b"5\r\nhello\r\n0\r\nX-Checksum: abc\r\n\r\n")
    server = gatehouse(HTTP.format("proxy_pass_trailers on;"), origin=origin.port)
    response = server.connect().request("/", headers={"TE": "trailers", "Connection": "TE"})
    assert response.body == b"hello"
    assert response.trailers == [("X-Checksum", "abc")]


def test_trailers_of_a_request(gatehouse, origin):
    server = gatehouse(HTTP.format("proxy_request_buffering off;"), origin=origin.port)
    client = server.connect()
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n5\r\nhello\r\n0\r\nX-Checksum: abc\r\n\r\n")
    assert client.read_response().status == 200
    assert origin.requests[0].trailers == [("X-Checksum", "abc")]


@pytest.mark.smoke
def test_expect_100_continue(gatehouse, origin):
    """The proxy invites the body itself, and the origin is not asked again."""
    server = gatehouse(HTTP.format(""), origin=origin.port)
    client = server.connect()
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert client.read_head().status == 100
    client.send("hello")
    response = client.read_response()
    assert (response.status, response.interim) == (200, [])
    assert origin.requests[0].body == b"hello"
    assert origin.requests[0].header("expect") is None


def test_expect_with_the_body_already_there(gatehouse, origin):
    """A client that does not wait needs no invitation, and gets at most one."""
    server = gatehouse(HTTP.format(""), origin=origin.port)
    client = server.connect()
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
    response = client.read_response()
    assert response.status == 200
    assert [interim.status for interim in response.interim] in ([], [100])


def test_expect_of_a_body_that_is_too_large_is_not_invited(gatehouse, origin):
    server = gatehouse(HTTP.format("client_max_body_size 10;"), origin=origin.port)
    client = server.connect()
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 50\r\n\r\n")
    response = client.read_response()
    assert (response.status, response.interim) == (413, [])


def test_head(gatehouse, make_origin):
    """The answer to HEAD tells the length and has no body; the connection goes on."""
    origin = make_origin()
    origin.answer = lambda request: b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + (b"" if request.method == "HEAD" else b"x" * 1000)
    server = gatehouse(HTTP.format(""), origin=origin.port)
    client = server.connect()
    response = client.request("/", method="HEAD")
    assert (response.status, response.header("content-length"), response.body) == (200, "1000", b"")
    assert len(client.request("/").body) == 1000


def test_interim_responses_go_through(gatehouse, make_origin):
    origin = make_origin()
    origin.answer = lambda request: b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n" + reply(200, b"final")
    server = gatehouse(HTTP.format(""), origin=origin.port)
    response = server.request("/")
    assert response.body == b"final"
    assert [interim.status for interim in response.interim] in ([103], [])


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(gatehouse, make_origin, status):
    origin = make_origin()
    origin.answer = lambda request: f"HTTP/1.1 {status} Reason\r\nETag: \"x\"\r\n\r\n".encode()
    server = gatehouse(HTTP.format(""), origin=origin.port)
    client = server.connect()
    for _ in range(2):
        response = client.request("/")
        assert (response.status, response.body, response.header("etag")) == (status, b"", '"x"')


def test_a_response_that_ends_with_its_connection(gatehouse, make_origin):
    async def handler(connection):
        await connection.read_request()
        await connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"until ", b"the end", pause=0.05)

    server = gatehouse(HTTP.format(""), origin=make_origin(handler).port)
    client = server.connect()
    response = client.request("/")
    assert response.body == b"until the end"
    assert response.framing in ("chunked", "close")


# --- proxy_pass, headers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("location", "target", "asked", "sent"), [
    ("/name/", "/remote/", "/name/a?b", "/remote/a?b"), ("/name", "/remote/", "/name/a", "/remote//a"), ("/name/", "/", "/name/a", "/a"),
    ("/name/", "", "/name/a", "/name/a"), ("/", "", "/%7Ea/./b//c%20d", "/%7Ea/./b//c%20d"), ("/name/", "/r/", "/name/a%20b", "/r/a%20b"),
    ("/name/", "/r/", "/name/%3Fx", "/r/%3Fx"), ("/name/", "/r/", "//name//./a", "/r/a"),
])
def test_the_uri_rule_of_proxy_pass(gatehouse, origin, location, target, asked, sent):
    server = gatehouse(f"server {{ listen 127.0.0.1:@http@; location {location} {{ proxy_pass http://127.0.0.1:@origin@{target}; }} }}",
                       origin=origin.port)
    assert server.request(asked).status == 200
    assert origin.requests[0].target == sent


def test_a_location_with_a_slash_redirects_the_path_without(gatehouse, origin):
    server = gatehouse("server { listen 127.0.0.1:@http@; location /name/ { proxy_pass http://127.0.0.1:@origin@; } }", origin=origin.port)
    response = server.request("/name?a=b")
    assert response.status == 301
    assert response.header("location").endswith("/name/?a=b")


def test_request_headers_set_and_removed(gatehouse, origin):
    server = gatehouse("""server { listen 127.0.0.1:@http@; server_name site.example;
        location / {
            proxy_pass http://127.0.0.1:@origin@;
            proxy_set_header Host $host; proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Removed "";
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
        } }""", origin=origin.port)
    server.request("/", host="Site.Example", headers={"X-Removed": "1", "X-Forwarded-For": "10.9.8.7", "X-Kept": "2", "TE": "gzip",
                                                      "Proxy-Connection": "keep-alive", "Keep-Alive": "timeout=5"})
    request = origin.requests[0]
    assert request.header("host") == "site.example"
    assert request.header("x-real-ip") == "127.0.0.1"
    assert request.header("x-forwarded-for") == "10.9.8.7, 127.0.0.1"
    assert request.header("x-forwarded-proto") == "http"
    assert request.header("x-kept") == "2"
    for gone in ("x-removed", "te", "proxy-connection", "keep-alive"):
        assert request.all(gone) == []


def test_underscores_in_a_field_name_are_dropped(gatehouse, origin):
    server = gatehouse(HTTP.format(""), origin=origin.port)
    server.request("/", headers={"X_Real_IP": "6.6.6.6", "X.Dotted": "1", "X-Fine": "2"})
    assert [name for name, _ in origin.requests[0].headers if "_" in name or "." in name] == []
    assert origin.requests[0].header("x-fine") == "2"


def test_response_headers_added_hidden_and_rewritten(gatehouse, make_origin):
    origin = make_origin()
    origin.answer = lambda request: reply(302, b"", [("Location", f"http://127.0.0.1:{origin.port}/next"), ("Server", "origin/1"),
                                                     ("X-Internal", "1"), ("X-Accel-Expires", "5"), ("Set-Cookie", "a=b"),
                                                     ("Set-Cookie", "c=d")])
    server = gatehouse(HTTP.format("add_header X-Added yes; proxy_hide_header X-Internal;"), origin=origin.port)
    response = server.request("/")
    assert response.header("location") == f"http://localhost:{server.port()}/next" or response.header("location") == "/next"
    assert response.header("x-added") == "yes"
    assert response.all("set-cookie") == ["a=b", "c=d"]
    assert response.all("x-internal") == response.all("x-accel-expires") == []
    assert response.header("server") != "origin/1"
    assert response.header("date")


@pytest.mark.parametrize(("directive", "status", "body", "location"), [
    ("return 204;", 204, b"", None), ('return 200 "hi $arg_x";', 200, b"hi 1", None), ("return 301 /new$request_uri;", 301, None, "/new/?x=1"),
    ("return 403;", 403, None, None), ("return https://b.example/;", 302, None, "https://b.example/"), ('return 404 "none";', 404, b"none", None),
])
def test_return(gatehouse, directive, status, body, location):
    server = gatehouse(f"server {{ listen 127.0.0.1:@http@; location / {{ {directive} }} }}")
    response = server.request("/?x=1")
    assert response.status == status
    assert body is None or response.body == body
    assert location is None or response.header("location").endswith(location)


def test_return_444_closes_without_an_answer(gatehouse):
    server = gatehouse("server { listen 127.0.0.1:@http@; return 444; }")
    client = server.connect()
    client.send_request("/")
    client.assert_closed()


def test_locations_and_servers_are_chosen_as_nginx_does(gatehouse):
    server = gatehouse("""
        server { listen 127.0.0.1:@http@ default_server; return 200 default; }
        server { listen 127.0.0.1:@http@; server_name a.example *.b.example ~^(?<who>\\w+)\\.c\\.example$;
                 location / { return 200 "root $who"; } location = /exact { return 200 exact; } location ^~ /static/ { return 200 static; }
                 location ~ \\.php$ { return 200 php; } location ~* \\.(PNG|jpg)$ { return 200 image; } location /deep/er/ { return 200 deeper; } }
        """)
    for host, target, expected in [("x.example", "/", b"default"), ("a.example", "/", b"root "), ("x.b.example", "/", b"root "),
                                   ("b.example", "/", b"default"), ("joe.c.example", "/", b"root joe"), ("a.example", "/exact", b"exact"),
                                   ("a.example", "/exact/", b"root "), ("a.example", "/static/x.php", b"static"),
                                   ("a.example", "/x.php", b"php"), ("a.example", "/x.JPG", b"image"), ("a.example", "/deep/er/x", b"deeper"),
                                   ("a.example", "/deep/er/x.php", b"php"), ("A.EXAMPLE", "/", b"root "), ("a.example:80", "/", b"root ")]:
        assert server.request(target, host=host).body == expected, (host, target)


def test_allow_and_deny(gatehouse):
    server = gatehouse("""server { listen 127.0.0.1:@http@;
        location /open { allow 127.0.0.0/8; deny all; proxy_pass http://127.0.0.1:@http@/target; }
        location /closed { deny 127.0.0.1; proxy_pass http://127.0.0.1:@http@/target; }
        location /target { return 200 "reached"; } }""")
    assert server.request("/open").status == 200
    assert server.request("/closed").status == 403
    server.wait_for_log("access forbidden by rule")


# --- bodies of any size ----------------------------------------------------------------------------------------------------------


@pytest.mark.smoke
@pytest.mark.limit(120)
@pytest.mark.parametrize("buffering", ["on", "off"])
def test_a_large_upload(gatehouse, make_origin, buffering):
    """50 MB up: whole and in order, with memory far below its size."""
    received = []

    async def handler(connection):
        head = await connection.read_head()
        left = int(dict((name.lower(), value) for name, value in head[1])["content-length"])
        total = 0
        while left:
            piece = await connection.reader.read(min(left, 1 << 16))
            assert piece == bytes((total + i) % 251 for i in range(len(piece))) if total < 4096 else True
            left -= len(piece)
            total += len(piece)
        received.append(total)
        await connection.reply(200, b"done")

    server = gatehouse(HTTP.format(f"client_max_body_size 0; proxy_request_buffering {buffering};"), origin=make_origin(handler).port)
    before = server.memory()
    client = server.connect(timeout=60)
    pattern = bytes(i % 251 for i in range(251 * 4096))
    count = 50 * MB // len(pattern)
    client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {count * len(pattern)}\r\n\r\n")
    for _ in range(count):
        client.send(pattern)
    assert client.read_response().body == b"done"
    assert received == [count * len(pattern)]
    assert server.memory() - before < (40 if is_sanitized() else 16) * MB


def test_a_spilled_body_leaves_no_file_behind(gatehouse, origin):
    server = gatehouse(HTTP.format("client_max_body_size 0; client_body_buffer_size 8k;"), origin=origin.port)
    assert server.request("/", method="POST", body=b"x" * 300_000).status == 200
    assert origin.requests[0].body == b"x" * 300_000
    assert [entry for entry in (server.directory / "body").rglob("*") if entry.is_file()] == []


@pytest.mark.limit(120)
def test_a_slow_client_slows_the_origin(gatehouse, make_origin):
    """Back-pressure down without files: while the client does not read, the origin cannot send its 200 MB, and memory stays small."""
    sent = [0]

    async def handler(connection):
        await connection.read_request()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (200 * MB))
        for _ in range(200):
            await connection.send(b"x" * MB)
            sent[0] += 1

    server = gatehouse(HTTP.format("proxy_max_temp_file_size 0;"), origin=make_origin(handler).port)
    before = server.memory()
    client = server.connect()
    client.send_request("/")
    assert client.read_head().status == 200
    time.sleep(1.5)
    held = sent[0]
    time.sleep(1)
    assert sent[0] == held < 100
    assert server.memory() - before < (60 if is_sanitized() else 24) * MB
    client.buffer = b""
    client.close()


def test_a_slow_origin_slows_the_client(gatehouse, make_origin):
    """Back-pressure up: with an origin that does not read, an unbuffered upload stands still."""
    proceed = threading.Event()

    async def handler(connection):
        await connection.read_head()
        while not proceed.is_set():
            await asyncio.sleep(0.05)
        await connection.reader.readexactly(100 * MB)
        await connection.reply(200, b"done")

    server = gatehouse(HTTP.format("client_max_body_size 0; proxy_request_buffering off;"), origin=make_origin(handler).port)
    before = server.memory()
    client = server.connect(timeout=2)
    client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {100 * MB}\r\n\r\n")
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 100 * MB:
            sent += client.socket.send(b"x" * MB)
    assert sent < 60 * MB
    assert server.memory() - before < (60 if is_sanitized() else 24) * MB
    proceed.set()
    client.socket.settimeout(30)
    while sent < 100 * MB:
        sent += client.socket.send(b"x" * min(MB, 100 * MB - sent))
    assert client.read_response().body == b"done"


def test_a_client_that_goes_away_ends_the_origin_s_work(gatehouse, make_origin):
    """When the client is gone, so is the connection to the origin, and the log says 499."""
    gone = threading.Event()

    async def handler(connection):
        await connection.read_request()
        await connection.reader.read(1)
        gone.set()

    server = gatehouse(HTTP.format(""), origin=make_origin(handler).port)
    client = server.connect()
    client.send_request("/")
    time.sleep(0.3)
    client.close()
    assert gone.wait(5)
    server.wait_for_access('" 499 ')


def test_no_answer_at_all_is_a_502(gatehouse, make_origin):
    async def handler(connection):
        await connection.read_request()

    server = gatehouse(HTTP.format(""), origin=make_origin(handler).port)
    assert server.request("/", method="POST", body=b"x").status == 502
    server.wait_for_log("upstream prematurely closed connection.* upstream: \"http://127.0.0.1")


def test_nobody_listening_is_a_502(gatehouse):
    server = gatehouse(HTTP.format(""))
    assert server.request("/").status == 502
    server.wait_for_log(r"connect\(\) failed \(111: Connection refused\) while connecting to upstream")


def test_many_sizes_come_through_unchanged(gatehouse, origin):
    """Bodies around every buffer's edge, both ways."""
    server = gatehouse(HTTP.format("client_max_body_size 0;"), origin=origin.port)
    client = server.connect()
    for size in (0, 1, 4095, 4096, 4097, 8191, 8192, 8193, 16383, 16384, 16385, 65535, 65536, 65537, 131072, 300001):
        body = bytes((size + i) % 256 for i in range(size))
        told = json.loads(client.request("/", method="POST", body=body).body)
        assert base64.b64decode(told["body"]) == body, size


def test_a_body_that_breaks_off_is_not_completed(gatehouse, make_origin):
    async def handler(connection):
        await connection.read_request()
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")

    server = gatehouse(HTTP.format(""), origin=make_origin(handler).port)
    client = server.connect()
    client.send_request("/")
    with pytest.raises(Closed):
        client.read_response()
