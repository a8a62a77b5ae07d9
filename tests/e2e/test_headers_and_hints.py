"""add_header_inherit and add_trailer_inherit (nginx 1.29), early_hints, post_action: what Debian's nginx can't be compared for."""

import pytest

from harness.origin import reply

INHERIT = """
add_header X-One 1; add_trailer T-One 1;
server {{ listen 127.0.0.1:@http@; {mode}
  location /plain {{ proxy_pass http://127.0.0.1:{port}; }}
  location /own {{ add_header X-Two 2; add_trailer T-Two 2; proxy_pass http://127.0.0.1:{port}; }}
  location /own/nested {{ proxy_pass http://127.0.0.1:{port}; }}
}}
"""


@pytest.mark.parametrize(("mode", "plain", "own"), [
    ("", ["1", None], [None, "2"]),
    ("add_header_inherit merge; add_trailer_inherit merge;", ["1", None], ["1", "2"]),
    ("add_header_inherit off; add_trailer_inherit off;", [None, None], [None, "2"]),
], ids=["on", "merge", "off"])
def test_inheritance_of_fields(gatehouse, origin, mode, plain, own):
    server = gatehouse(INHERIT.format(mode=mode, port=origin.port))
    for path, expected in (("/plain", plain), ("/own", own)):
        response = server.request(path)
        assert [response.header("X-One"), response.header("X-Two")] == expected
        trailers = dict(response.trailers)
        assert [trailers.get("T-One"), trailers.get("T-Two")] == expected


@pytest.mark.parametrize(("directive", "target", "passes"), [("", "/", True), ("early_hints $arg_hints;", "/?hints=1", True),
                                                             ("early_hints $arg_hints;", "/", False), ("early_hints $arg_hints $arg_b;", "/?hints=1&b=0", False)])
def test_early_hints(gatehouse, make_origin, directive, target, passes):
    async def hints(connection):
        while await connection.read_request():
            await connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n" + reply(200, b"page"))

    server = gatehouse(f"server {{ listen 127.0.0.1:@http@; location / {{ {directive} proxy_pass http://127.0.0.1:{make_origin(hints).port}; }} }}")
    response = server.request(target)
    assert response.body == b"page"
    assert [interim.status for interim in response.interim] == ([103] if passes else [])


@pytest.mark.parametrize("action", ["/done", "@done"])
def test_a_post_action_tells_of_the_request(gatehouse, origin, action):
    server = gatehouse(f"""
server {{ listen 127.0.0.1:@http@;
  location / {{ post_action {action}; proxy_pass http://127.0.0.1:{origin.port}; }}
  location /done {{ internal; proxy_pass http://127.0.0.1:{origin.port}/told; }}
  location @done {{ proxy_method PUT; proxy_pass http://127.0.0.1:{origin.port}; }}
}}""")
    assert server.request("/a?b=c").status == 200
    server.wait_for_access("GET /a")
    assert [request.line for request in origin.requests] == [
        "GET /a?b=c HTTP/1.1", "GET /told HTTP/1.1" if action == "/done" else "PUT /a?b=c HTTP/1.1"]


def test_variables_of_connection_body_and_trailers(gatehouse, make_origin):
    async def with_trailers(connection):
        while await connection.read_request():
            await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 42\r\n\r\n")

    server = gatehouse(f"""
log_format all '<$request_body|$upstream_trailer_x_sum|$sent_trailer_x_sum|$http2|$http3|$is_request_port$request_port|$tcpinfo_rtt|$tcpinfo_snd_cwnd|$date_gmt>';
server {{ listen 127.0.0.1:@http@; access_log @dir@/own.log all; location / {{ proxy_pass http://127.0.0.1:{make_origin(with_trailers).port}; }} }}""", workers=1)
    server.request("/", method="POST", body=b"a=1", host="localhost:81")
    server.request("/")
    lines = server._wait_for("own.log", "^<", 10, 2).splitlines()
    first = lines[0].strip("<>").split("|")
    assert first[:6] == ["a=1", "42", "42", "-", "-", ":81"]
    assert int(first[6]) > 0 and int(first[7]) > 0
    assert first[8].endswith(" GMT")


def test_a_field_set_with_a_stands_beside_others(gatehouse, make_origin):
    """headers-more 0.37, which is newer than Debian's."""
    origin = make_origin()
    origin.answer = lambda request: reply(200, b"x", [("Link", "<a>")])
    server = gatehouse("""server { listen 127.0.0.1:@http@;
        location / { more_set_headers -a "Link: <b>"; proxy_pass http://127.0.0.1:@origin@; } }""", origin=origin.port)
    assert server.request("/").all("Link") == ["<a>", "<b>"]
