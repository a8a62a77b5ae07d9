"""Clients that stay with their server: sticky cookie, route and learn; draining servers; least_time."""

import asyncio
import hashlib
import json
import re
import signal
import time

import pytest

from harness.origin import reply

SERVER = """
upstream group {{ {method} {peers} }}
server {{ listen 127.0.0.1:@http@; location / {{ proxy_pass http://group; {more} }}
  location = /version {{ return 200 @version@; }} }}
"""


@pytest.fixture
def group(gatehouse, make_origin):
    """group(method, parameters...): a server in front of as many origins as there are parameters, named a, b, c ..."""
    def make(method="", *parameters, more="", workers=1):
        origins = [make_origin(name=name) for name, _ in zip("abcdefgh", parameters)]
        for origin in origins:
            origin.handler = session(origin)
        peers = "".join(f"server 127.0.0.1:{origin.port} {text};" for origin, text in zip(origins, parameters))
        server = gatehouse(SERVER.format(method=method, peers=peers, more=more), workers=workers, version="0")
        server.origins = origins
        return server
    return make


def session(origin):
    """An origin that begins a session for whoever asks for it with ?begin=NAME, and is late with ?late."""
    async def handler(connection):
        while request := await connection.read_request():
            if "late" in request.target:
                await asyncio.sleep(0.2)
            begin = re.search(r"begin=(\w+)", request.target)
            fields = [("X-Session", begin[1])] if begin else []
            await connection.send(reply(200, json.dumps({"origin": origin.name}).encode(), fields))
    return handler


def names(server, count: int, **headers: str) -> str:
    client = server.connect()
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return "".join(json.loads(client.request("/", headers=fields).body)["origin"] for _ in range(count))


def cookies(response) -> list[str]:
    return [value for name, value in response.headers if name.lower() == "set-cookie"]


@pytest.mark.smoke
def test_a_cookie_binds_to_its_server(group):
    server = group("sticky cookie srv;", "", "", "")
    first = server.request("/")
    name = json.loads(first.body)["origin"]
    port = server.origins["abc".index(name)].port
    assert cookies(first) == ["srv=" + hashlib.md5(f"127.0.0.1:{port}".encode()).hexdigest()]
    assert names(server, 6, Cookie=cookies(first)[0]) == name * 6


def test_the_cookies_attributes_and_a_route(group):
    server = group("sticky cookie srv expires=1h domain=.$host httponly secure samesite=$arg_site path=/app;", "route=one", "route=two")
    cookie = cookies(server.request("/?site=lax", host="www.example.com"))[0]
    pattern = (r"srv=one; expires=\w{3}, \d\d-\w{3}-\d\d \d\d:\d\d:\d\d GMT; max-age=3600; domain=\.www\.example\.com; httponly; secure; "
               r"samesite=lax; path=/app")
    assert re.fullmatch(pattern, cookie), cookie
    assert "samesite=strict;" in cookies(server.request("/?site=x%0dy"))[0]
    assert names(server, 4, Cookie="srv=two") == "bbbb"


def test_a_cookie_for_ever(group):
    server = group("sticky cookie srv expires=max;", "route=one", "route=two")
    assert cookies(server.request("/")) == ["srv=one; expires=Thu, 31-Dec-37 23:55:55 GMT; max-age=315360000"]


def test_a_server_that_fails_gives_its_clients_to_another(group):
    server = group("sticky cookie srv;", "route=one", "route=two", "route=three")
    server.origins[1].stop()
    answer = server.request("/", headers={"Cookie": "srv=two"})
    assert json.loads(answer.body)["origin"] in "ac"
    assert cookies(answer) == [{"a": "srv=one", "c": "srv=three"}[json.loads(answer.body)["origin"]]]
    assert server.wait_for_log("connect\\(\\) failed")
    server.allow_log("connect\\(\\) failed|temporarily disabled")


def test_a_response_of_our_own_carries_the_cookie_of_the_server_that_was_tried(group):
    server = group("sticky cookie srv;", "route=one", more="proxy_next_upstream off;")
    server.origins[0].stop()
    answer = server.request("/")
    assert answer.status == 502 and cookies(answer) == ["srv=one"]
    server.allow_log("connect\\(\\) failed|temporarily disabled")


def test_a_route_in_the_request(group):
    server = group("sticky route $cookie_route $arg_route;", "route=a", "route=b", "")
    assert names(server, 3, Cookie="route=b") == "bbb"
    client = server.connect()
    assert [json.loads(client.request("/?route=a").body)["origin"] for _ in range(3)] == ["a"] * 3
    assert sorted(names(server, 3)) == ["a", "b", "c"]
    assert cookies(server.request("/", headers={"Cookie": "route=b"})) == []


@pytest.mark.parametrize("header", ["", "header"])
def test_sessions_are_learned_from_responses(group, header):
    server = group(f"sticky learn create=$upstream_http_x_session lookup=$cookie_session zone=z:1m timeout=1s {header};", "", "", "")
    answer = server.request("/?begin=s1")
    name = json.loads(answer.body)["origin"]
    assert dict(answer.headers).get("X-Session") == "s1"
    assert names(server, 6, Cookie="session=s1") == name * 6
    assert len(set(names(server, 6, Cookie="session=other"))) == 3
    server.values["version"] = "1"
    server.configure()
    server.signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while server.request("/version").body != b"1":
        assert time.monotonic() < deadline, "the new configuration never came"
        time.sleep(0.02)
    assert names(server, 6, Cookie="session=s1") == name * 6
    time.sleep(1.3)
    assert len(set(names(server, 3, Cookie="session=s1"))) == 3


def test_sessions_are_shared_by_event_threads(group):
    server = group("sticky learn create=$upstream_http_x_session lookup=$cookie_session zone=z:1m;", "", "", "", workers=2)
    name = json.loads(server.request("/?begin=s1").body)["origin"]
    for _ in range(12):
        assert json.loads(server.request("/", headers={"Cookie": "session=s1"}).body)["origin"] == name


def test_a_draining_server_keeps_its_clients(group):
    server = group("sticky cookie srv;", "route=one", "route=two drain")
    assert names(server, 4) == "aaaa"
    assert names(server, 3, Cookie="srv=two") == "bbb"


def test_least_time_prefers_the_faster_server(group):
    server = group("least_time header;", "", "")
    client = server.connect()
    slow = json.loads(client.request("/?late").body)["origin"]
    served = [json.loads(client.request("/").body)["origin"] for _ in range(6)]
    assert slow not in served, served
