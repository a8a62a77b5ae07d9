"""The access log: nginx's formats, escapes and conditions, one line for every request that began."""

import asyncio
import gzip
import json
import pathlib
import re
import time

import pytest

from harness.origin import reply

ORIGIN = "location / {{ proxy_pass http://127.0.0.1:@origin@; {} }}"


def site(http: str = "", location: str = "") -> str:
    return f"{http} server {{ listen 127.0.0.1:@http@; {ORIGIN.format(location)} }}"


def lines(server, pattern: str, name: str = "access.log", count: int = 1) -> list[str]:
    server._wait_for(name, pattern, 10, count)
    return [line for line in server._text(name).splitlines() if re.search(pattern, line)]


@pytest.mark.smoke
def test_combined(gatehouse, make_origin):
    origin = make_origin()
    origin.answer = lambda request: reply(200, b"x" * 1234)
    server = gatehouse(site(), origin=origin.port)
    server.request("/a%20b?c=d", headers={"Referer": "http://from.example/", "User-Agent": "agent \"quoted\" \\ é"})
    line = lines(server, "GET /a")[0]
    assert re.fullmatch(r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /a%20b\?c=d HTTP/1\.1" 200 1234 '
                        r'"http://from\.example/" "agent \\x22quoted\\x22 \\x5C \\xE9"', line), line


def test_a_format_of_its_own(gatehouse, make_origin):
    origin = make_origin()
    origin.answer = lambda request: reply(201, b"created", [("X-From", "origin"), ("Content-Type", "text/x")])
    server = gatehouse(site("""log_format own '$request_method|$uri|$args|$request_uri|$scheme|$server_protocol|$host|$http_host|$server_port|'
        '$status|$body_bytes_sent|$bytes_sent|$request_length|$content_type|$content_length|$http_x_custom|$sent_http_x_from|$upstream_http_x_from|'
        '$upstream_addr|$upstream_status|$request_time|$upstream_response_time|$upstream_connect_time|$upstream_header_time|$request_id|$msec|'
        '$time_iso8601|$connection|$connection_requests|$remote_port|$arg_b|$cookie_session|$is_args|$server_name|$proxy_host|$request_completion|$pid';
        access_log @dir@/own.log own;"""), origin=origin.port)
    client = server.connect()
    client.request("/p%41th?a=1&b=2", method="POST", body=b"four", host="Name.Example:81",
                   headers={"X-Custom": "custom", "Content-Type": "text/plain", "Cookie": "x=y; session=abc"})
    fields = lines(server, "POST", "own.log")[0].split("|")
    told = dict(zip(("method uri args request_uri scheme protocol host http_host server_port status body_bytes bytes request_length content_type "
                     "content_length custom sent_from upstream_from upstream_addr upstream_status request_time response_time connect_time "
                     "header_time request_id msec iso connection requests remote_port b session is_args server_name proxy_host completion pid").split(), fields))
    expected = {"method": "POST", "uri": "/pAth", "args": "a=1&b=2", "request_uri": "/p%41th?a=1&b=2", "scheme": "http", "protocol": "HTTP/1.1",
                "host": "name.example", "http_host": "Name.Example:81", "server_port": str(server.port()), "status": "201", "body_bytes": "7",
                "content_type": "text/plain", "content_length": "4", "custom": "custom", "sent_from": "origin", "upstream_from": "origin",
                "upstream_addr": f"127.0.0.1:{origin.port}", "upstream_status": "201", "requests": "1", "remote_port": str(client.local_port),
                "b": "2", "session": "abc", "is_args": "?", "server_name": "", "proxy_host": f"127.0.0.1:{origin.port}", "completion": "OK"}
    assert {name: told[name] for name in expected} == expected
    for name in ("request_time", "response_time", "connect_time", "header_time"):
        assert re.fullmatch(r"\d+\.\d{3}", told[name]), name
    assert re.fullmatch(r"[0-9a-f]{32}", told["request_id"])
    assert re.fullmatch(r"\d+\.\d{3}", told["msec"]) and abs(float(told["msec"]) - time.time()) < 60
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", told["iso"])
    assert int(told["bytes"]) > 7 and int(told["request_length"]) > 100


def test_json_escape_is_json(gatehouse, origin):
    server = gatehouse(site("""log_format j escape=json '{"uri":"$request_uri","agent":"$http_user_agent","none":"$http_x_none"}';
                               access_log @dir@/own.log j;"""), origin=origin.port)
    server.request("/x", headers={"User-Agent": 'a "b" \\c\tz'})
    entry = json.loads(lines(server, "/x", "own.log")[0])
    assert entry == {"uri": "/x", "agent": 'a "b" \\c\tz', "none": ""}


def test_no_escape(gatehouse, origin):
    server = gatehouse(site("log_format n escape=none '$request_uri $http_user_agent'; access_log @dir@/own.log n;"), origin=origin.port)
    server.request("/x", headers={"User-Agent": '"raw" \\'})
    assert lines(server, "/x", "own.log") == ['/x "raw" \\']


def test_an_absent_value_is_a_dash(gatehouse):
    server = gatehouse("log_format n '[$http_x_none] [$upstream_addr] [$request_uri]'; access_log @dir@/own.log n; "
                       "server { listen 127.0.0.1:@http@; return 200; }")
    server.request("/x")
    assert lines(server, "/x", "own.log") == ["[-] [-] [/x]"]


def test_no_line_break_gets_into_a_line(gatehouse, origin):
    """A log line is one line, whatever a client sends."""
    server = gatehouse(site(), origin=origin.port)
    server.request("/%0a%0d127.0.0.1%20fake", headers={"User-Agent": "x\ty"})
    assert len(lines(server, "fake")) == 1
    assert "\\x09" in lines(server, "fake")[0]


def test_conditional_and_off(gatehouse, origin):
    server = gatehouse(f"""server {{ listen 127.0.0.1:@http@;
        access_log @dir@/own.log combined if=$arg_log;
        {ORIGIN.format("")}
        location /off {{ access_log off; return 200; }} }}""", origin=origin.port)
    for target in ("/a?log=1", "/b", "/c?log=0", "/off", "/d?log=yes"):
        server.request(target)
    lines(server, "/d", "own.log")
    lines(server, "/a", "own.log")
    # Each event thread writes its own lines in order; between threads there is none.
    assert sorted(re.findall(r'"GET (\S+) ', server._text("own.log"))) == ["/a?log=1", "/d?log=yes"]


def test_several_logs_and_inheritance(gatehouse, origin):
    """A level's access_log directives replace the outer level's, all of them."""
    server = gatehouse(f"""server {{ listen 127.0.0.1:@http@; access_log @dir@/one.log; access_log @dir@/two.log;
                           {ORIGIN.format("")} location /in {{ access_log @dir@/three.log; return 200; }} }}""", origin=origin.port)
    server.request("/x")
    server.request("/in")
    lines(server, "/x", "one.log")
    lines(server, "/x", "two.log")
    lines(server, "/in", "three.log")
    assert "/in" not in server._text("one.log")


def test_a_buffered_log_is_flushed_in_time(gatehouse, origin):
    server = gatehouse(site("access_log @dir@/own.log combined buffer=64k flush=300ms;"), origin=origin.port)
    server.request("/x")
    lines(server, "/x", "own.log")


def test_a_buffered_log_is_flushed_at_the_end(gatehouse, origin):
    server = gatehouse(site("access_log @dir@/own.log combined buffer=64k flush=1h;"), origin=origin.port)
    for number in range(10):
        server.request(f"/{number}")
    server.stop()
    assert len(re.findall(r'"GET /\d ', server._text("own.log"))) == 10


def test_tries_are_joined(gatehouse, make_origin):
    async def drops(connection):
        await connection.read_request()

    bad, good = make_origin(drops), make_origin()
    server = gatehouse("""log_format u '$upstream_addr $upstream_status [$upstream_response_time]'; access_log @dir@/own.log u;
        upstream g { server 127.0.0.1:@bad@ max_fails=0; server 127.0.0.1:@good@ backup; }
        server { listen 127.0.0.1:@http@; location / { proxy_pass http://g; } }""", bad=bad.port, good=good.port)
    assert server.request("/").status == 200
    line = lines(server, "127", "own.log")[0]
    assert re.fullmatch(rf"127\.0\.0\.1:{bad.port}, 127\.0\.0\.1:{good.port} 502, 200 \[[\d.]+, [\d.]+\]", line), line


@pytest.mark.parametrize(("message", "status"), [(b"BAD\r\n\r\n", 400), (b"GET / HTTP/1.1\r\n\r\n", 400), (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
                                                 (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414)],
                         ids=["no request", "no host", "version", "too long"])
def test_a_refused_request_is_logged_too(gatehouse, origin, message, status):
    server = gatehouse(site(), origin=origin.port)
    client = server.connect()
    client.send(message)
    assert client.read_response().status == status
    lines(server, f'" {status} ')


def test_a_response_that_the_client_did_not_wait_for(gatehouse, make_origin):
    """499 when the client is gone before an answer; the answer's status when it is gone during the answer."""
    async def slow(connection):
        await connection.read_request()
        await asyncio.sleep(3)

    server = gatehouse(site(), origin=make_origin(slow).port)
    client = server.connect()
    client.send_request("/gone")
    time.sleep(0.2)
    client.close()
    assert '" 499 0 ' in lines(server, "/gone")[0]


def test_the_real_address(gatehouse, origin):
    """set_real_ip_from and real_ip_header change $remote_addr for log and headers."""
    server = gatehouse(site("set_real_ip_from 127.0.0.0/8; real_ip_header X-Forwarded-For; real_ip_recursive on;", "proxy_set_header X-Real-IP $remote_addr;"),
                       origin=origin.port)
    server.request("/x", headers={"X-Forwarded-For": "192.0.2.1, 198.51.100.2, 127.0.0.5"})
    assert lines(server, "/x")[0].startswith("198.51.100.2 - ")
    assert origin.requests[0].header("x-real-ip") == "198.51.100.2"


def test_compressed_lines(gatehouse, origin):
    """Each batch is a gzip member: the file can be read at any time, and after the end it holds every line."""
    server = gatehouse(site("log_format own '$request_uri';", "access_log @dir@/packed.gz own gzip=6 flush=100ms;"), origin=origin.port)
    path = pathlib.Path(server.values["dir"]) / "packed.gz"
    for number in range(50):
        server.request(f"/{number}")
    deadline = time.monotonic() + 10
    while len(read := gzip.decompress(path.read_bytes()).decode().split()) < 50:
        assert time.monotonic() < deadline, read
        time.sleep(0.05)
    assert sorted(read, key=lambda uri: int(uri[1:])) == [f"/{number}" for number in range(50)]


def test_a_literal_dollar_of_geo(gatehouse):
    server = gatehouse('geo $literal_dollar { default "$"; } server { listen 127.0.0.1:@http@; location / { return 200 "a${literal_dollar}host"; } }')
    assert server.request("/").body == b"a$host"
