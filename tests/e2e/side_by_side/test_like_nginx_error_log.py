"""The error log's lines beside nginx's: level, wording, and what of the request follows, with numbers and folders replaced by their meaning.

Not compared: an upstream that speaks no HTTP. nginx passes its bytes on as HTTP/0.9, Gatehouse answers 502.
"""

import asyncio
import re
import socket
import time

import pytest

SERVER = """
limit_req_zone $binary_remote_addr zone=slow:1m rate=1r/m; limit_conn_zone $server_name zone=conn:1m;
upstream dead {{ server 127.0.0.1:{dead} max_fails=1 fail_timeout=60s; }}
upstream twice {{ server 127.0.0.1:{dead} max_fails=0; server 127.0.0.1:{closing} max_fails=0; }}
server {{ listen 127.0.0.1:@http@; server_name www.example.com; root @dir@/html;
  location /refused {{ proxy_pass http://127.0.0.1:{dead}; }}
  location /dead {{ proxy_pass http://dead; }}
  location /twice {{ proxy_pass http://twice; }}
  location /silent {{ proxy_pass http://127.0.0.1:{silent}; proxy_read_timeout 300ms; }}
  location /closing {{ proxy_pass http://127.0.0.1:{closing}; }}
  location /large {{ client_max_body_size 10; proxy_pass http://127.0.0.1:{dead}; }}
  location /denied {{ deny all; }}
  location /limited {{ limit_req zone=slow; proxy_pass http://127.0.0.1:{good}; }}
  location /conn {{ limit_conn conn 1; limit_conn_log_level warn; proxy_pass http://127.0.0.1:{silent}; proxy_read_timeout 300ms; }}
  location /auth {{ auth_basic realm; auth_basic_user_file @dir@/users; }}
  location /index/ {{ }}
  location /inside {{ internal; }}
}}
"""


async def silent(connection):
    await connection.read_request()
    await asyncio.sleep(20)


async def closing(connection):
    await connection.read_request()


@pytest.fixture
def pair(gatehouse, nginx, make_origin):
    dead = socket.socket()
    dead.bind(("127.0.0.1", 0))
    ports = {"dead": dead.getsockname()[1], "silent": make_origin(silent).port, "closing": make_origin(closing).port,
             "good": make_origin().port}
    servers = []
    for make in (nginx, gatehouse):
        server = make(SERVER.format(**ports), start=False, workers=1)
        server.write("users", "known:{PLAIN}secret\n")
        server.write("html/index/x", "")
        servers.append(server.start())
    yield servers
    dead.close()


def told(server, since: int) -> list[str]:
    """The new lines at error and above, without time, process and connection."""
    lines = []
    for line in server.error_log()[since:].splitlines():
        match = re.match(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[(warn|error|crit|alert|emerg)\] \d+#\d+: (?:\*\d+ )?(.*)", line)
        if match:
            text = match[2].replace(str(server.directory), "DIR")
            lines.append(f"[{match[1]}] " + re.sub(r"excess: \d+\.\d+", "excess: N", text))
    return lines


@pytest.mark.parametrize(("target", "options"), [
    ("/refused/x?y=1", {}), ("/silent", {}), ("/closing", {}), ("/large", {"method": "POST", "body": b"x" * 20}), ("/denied", {}),
    ("/missing.html", {}), ("/index/", {}), ("/auth", {"headers": {"Authorization": "Basic a25vd246d3Jvbmc="}}), ("/auth", {"headers": {"Authorization": "Basic bm9ib2R5Ong="}}),
    ("/refused", {"headers": {"Referer": "http://other.example/page"}}), ("/twice", {}),
], ids=lambda value: str(value).replace("/", "_")[:40])
def test_lines(pair, target, options):
    lines = []
    for server in pair:
        since = len(server.error_log())
        server.request(target, host="www.example.com", until_closed=True, **options)
        lines.append(told(server, since))
    assert lines[1] == lines[0] != []


def test_lines_of_the_second_request(pair):
    """A peer that has failed, and a limit that is reached."""
    for target in ("/dead", "/limited"):
        lines = []
        for server in pair:
            server.request(target, host="www.example.com", until_closed=True)
            since = len(server.error_log())
            server.request(target, host="www.example.com", until_closed=True)
            lines.append(told(server, since))
        assert lines[1] == lines[0] != []


def test_a_client_that_leaves_is_no_error(pair):
    for server in pair:
        since = len(server.error_log())
        client = server.connect()
        client.send_request("/silent", host="www.example.com")
        time.sleep(0.1)
        client.close()
        server.wait_for_log(r"\[info\] .*client prematurely closed connection")
        assert told(server, since) == []
