"""The error log at level debug, and debug_connection: nginx's words for the way of a request."""

import re
import signal
import socket

import pytest

from harness.origin import reply

SITE = """
upstream api {{ server 127.0.0.1:@origin@; keepalive 4; }}
server {{
    listen 127.0.0.1:@http@;
    location / {{ proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection ""; {} }}
    location = /exact {{ return 204; }}
    location ~ \\.txt$ {{ root @dir@; try_files $uri =404; }}
    location /gone {{ error_page 410 /exact; return 410; }}
    location /asks {{ auth_request /auth; proxy_pass http://api; }}
    location = /auth {{ internal; return 204; }}
}}"""

# What both servers write, word for word, for `GET /a/b.html?c=d` with one header field of our own. A reader's greps.
SHARED = [
    r"\*\d+ accept: 127\.0\.0\.1:\d+ fd:\d+",
    r'\*\d+ http process request line',
    r'\*\d+ http request line: "GET /a/b\.html\?c=d HTTP/1\.1"',
    r'\*\d+ http uri: "/a/b\.html"',
    r'\*\d+ http args: "c=d"',
    r'\*\d+ http exten: "html"',
    r'\*\d+ http process request header line',
    r'\*\d+ http header: "X-Own: value"',
    r'\*\d+ http header done',
    r'\*\d+ using configuration "/"',
    r'\*\d+ http cl:-1 max:1048576',
    r'\*\d+ connect to 127\.0\.0\.1:\d+, fd:\d+',
    r'\*\d+ http upstream connect: ',
    r'\*\d+ http upstream send request',
    r'\*\d+ http upstream process header',
    r'\*\d+ http proxy status 200 "200 Reason"',
    r'\*\d+ http proxy header: "X-Origin: yes"',
    r'\*\d+ http proxy header done',
    r'\*\d+ finalize http upstream request: ',
    r'\*\d+ free keepalive peer: saving connection',
    r'\*\d+ HTTP/1\.1 200 Reason',
    r'\*\d+ http finalize request: ',
    r'\*\d+ http log handler',
    r'\*\d+ set http keepalive handler',
    r'\*\d+ http keepalive handler',
    r'\*\d+ close http connection: \d+',
]


def answer(request):
    return reply(200, b"hello", [("X-Origin", "yes")])


@pytest.fixture
def origin(make_origin):
    made = make_origin()
    made.answer = answer
    return made


@pytest.mark.parametrize("which", ["gatehouse", "nginx"])
def test_the_way_of_a_request_in_nginx_words(which, request, origin):
    server = request.getfixturevalue(which)(SITE.format(""), log_level="debug", origin=origin.port)
    client = server.connect()
    assert client.request("/a/b.html?c=d", headers={"X-Own": "value"}).status == 200
    assert client.request("/again").status == 200
    client.close()
    server.wait_for_log(r"\[debug\] \d+#\d+: \*\d+ close http connection: ")
    log = server.error_log()
    missing = [pattern for pattern in SHARED if not re.search(r"\[debug\] \d+#\d+: " + pattern, log)]
    assert not missing, log
    # nginx writes its messages of level debug without the context that errors have.
    assert not re.search(r"\[debug\].*http request line.*, client: ", log)


def test_what_is_not_proxied(gatehouse, origin):
    server = gatehouse(SITE.format(""), log_level="debug", origin=origin.port)
    server.write("here.txt", "text")
    assert server.request("/here.txt").body == b"text"
    assert server.request("/gone").status == 410
    assert server.request("/asks").status == 200
    server.wait_for_log(r"auth request done s:204")
    log = server.error_log()
    for pattern in (r'using configuration "\\\.txt\$"', r'trying to use file: "/here\.txt"', r'http filename: "[^"]*here\.txt"',
                    r'internal redirect: "/exact\?"', r'using configuration "=/exact"', r"auth request handler", r'http subrequest "/auth\?"'):
        assert re.search(r"\[debug\].*" + pattern, log), pattern


def test_no_debug_message_below_its_level(gatehouse, origin):
    server = gatehouse(SITE.format(""), log_level="info", origin=origin.port)
    assert server.request("/").status == 200
    assert "[debug]" not in server.error_log()


def test_a_location_may_debug_alone(gatehouse, origin):
    server = gatehouse(SITE.format("error_log @dir@/debug.log debug;"), log_level="info", origin=origin.port)
    assert server.request("/only-here").status == 200
    assert server.request("/exact").status == 204
    server._wait_for("debug.log", r'http upstream process header', 10, 1)
    own = server._text("debug.log")
    assert "/exact" not in own
    assert "[debug]" not in server.error_log()


def test_debug_connection_names_clients(gatehouse, origin):
    server = gatehouse(SITE.format(""), log_level="error", origin=origin.port)
    old = server.connect()
    assert old.request("/before").status == 200
    server.configure(replace=("events {", "events { debug_connection 127.0.0.9; debug_connection 10.0.0.0/8;"))
    server.signal(signal.SIGHUP)

    def from_address(address: str) -> None:
        with socket.create_connection(("127.0.0.1", server.port()), source_address=(address, 0)) as client:
            client.sendall(f"GET /from-{address} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
            while client.recv(4096):
                pass

    def told() -> bool:
        from_address("127.0.0.9")
        return "/from-127.0.0.9" in server.error_log()

    for _ in range(200):
        if told():
            break
    log = server.wait_for_log(r'\[debug\] .*http request line: "GET /from-127\.0\.0\.9 HTTP/1\.1"')
    assert "close http connection" in server.wait_for_log("close http connection")
    from_address("127.0.0.1")
    assert "from-127.0.0.1" not in server.error_log()
    assert "/before" not in log


def test_tls_is_told(gatehouse, origin, authority):
    server = gatehouse(f"""server {{ listen 127.0.0.1:@https@ ssl; server_name secure.example;
        {authority.issue("secure.example").directives}
        location / {{ proxy_pass http://127.0.0.1:@origin@; }} }}""", log_level="debug", origin=origin.port)
    client = server.connect("https", tls=authority.client(), name="secure.example")
    assert client.request("/").status == 200
    log = server.wait_for_log(r"SSL: TLSv1\.3, cipher: \"TLS_")
    assert re.search(r'\[debug\] \d+#\d+: \*\d+ SSL server name: "secure\.example"', log)


def test_the_waf_tells_its_way(gatehouse, origin):
    server = gatehouse("""modsecurity on; modsecurity_rules '
        SecRuleEngine On
        SecRequestBodyAccess On
        SecRule ARGS "@rx evil" "id:7,phase:2,deny,status:403"';
        server { listen 127.0.0.1:@http@; location / { proxy_pass http://127.0.0.1:@origin@; } }""", log_level="debug", origin=origin.port)
    assert server.request("/?a=good").status == 200
    assert server.request("/?a=evil").status == 403
    log = server.wait_for_log(r"waf: request takes the full path: .* 7$")
    assert re.search(r"\[debug\].*waf: request proven clean", log)
    assert re.search(r"\[debug\].*waf: response proven clean", log)
