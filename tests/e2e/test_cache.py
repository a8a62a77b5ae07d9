"""The response cache with time, disk and failures in play: what tests/e2e/side_by_side/test_like_nginx_caching.py can't compare."""

import asyncio
import collections
import concurrent.futures
import gzip
import hashlib
import os
import pathlib
import signal
import subprocess
import threading
import time

import pytest

from harness.origin import reply

PATH = "proxy_cache_path {folder} levels=1:2 keys_zone=zone:1m {zone};"
SERVER = """
{path}
server {{ listen 127.0.0.1:@http@; add_header X-Cache $upstream_cache_status always; proxy_cache zone; {server}
  location / {{ proxy_pass http://127.0.0.1:{port}; {more} }}
}}
"""


class CountingOrigin:
    """Answers every request with a body that says which one it was; `fields` and `status` may change meanwhile."""

    def __init__(self, origin):
        self.origin = origin
        self.status, self.fields, self.body, self.asked = 200, [], None, collections.Counter()
        origin.answer = self.answer

    def answer(self, request) -> bytes:
        self.asked[request.target] += 1
        body = self.body if self.body is not None else f"{request.target} {self.asked[request.target]}".encode()
        return reply(self.status, body, self.fields)

    @property
    def requests(self):
        return self.origin.requests


@pytest.fixture
def cached(gatehouse, make_origin, tmp_path):
    """cached(directives of the location): a server with a cache in a folder that outlives it, and its origin."""
    def make(more="", *, zone="", server="", handler=None, origin=None, **options):
        if origin is None:
            origin = make_origin(handler) if handler else make_origin()
        path = PATH.format(folder=tmp_path / "cache", zone=zone)
        made = gatehouse(SERVER.format(path=path, server=server, more=more, port=origin.port), **options)
        made.origin = origin if handler else CountingOrigin(origin)
        made.folder = tmp_path / "cache"
        return made
    return make


def files(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def until(condition, timeout: float = 15.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.05)


def status_of(response) -> str:
    return response.header("X-Cache")


def pause_past_a_second(seconds: float = 2.1) -> None:
    """Validity is counted in whole seconds of the wall clock."""
    time.sleep(seconds)


@pytest.mark.smoke
def test_an_entry_survives_a_restart(cached):
    first = cached("proxy_cache_valid 10m;")
    assert status_of(first.request("/a")) == "MISS"
    assert status_of(first.request("/a")) == "HIT"
    first.stop()
    second = cached("proxy_cache_valid 10m;", origin=first.origin.origin)
    response = second.request("/a")
    assert (status_of(response), response.body) == ("HIT", b"/a 1")


def test_an_entry_survives_a_reload(cached):
    server = cached("proxy_cache_valid 10m;")
    server.request("/a")
    server.configure(replace=("proxy_cache_valid 10m", "proxy_cache_valid 11m"))
    server.signal(signal.SIGHUP)
    server.wait_for_log("reconfiguring|reloaded|generation")
    assert status_of(server.request("/a")) == "HIT"


def test_files_are_named_as_nginx_names_them(cached):
    server = cached("proxy_cache_valid 10m; proxy_cache_key $uri;")
    server.request("/a")
    assert [str(path.relative_to(server.folder)) for path in files(server.folder)] == [digest_path("/a")]


def digest_path(key: str) -> str:
    name = hashlib.md5(key.encode()).hexdigest()
    return f"{name[-1]}/{name[-3:-1]}/{name}"


def test_unused_entries_go(cached):
    server = cached("proxy_cache_valid 10m;", zone="inactive=1s")
    server.request("/a")
    assert len(files(server.folder)) == 1
    until(lambda: not files(server.folder))
    assert status_of(server.request("/a")) == "MISS"


def test_the_longest_unused_make_room(cached):
    server = cached("proxy_cache_valid 10m;", zone="max_size=64k")
    server.origin.body = b"x" * 16000
    for number in range(12):
        server.request(f"/{number}")
    until(lambda: sum(path.stat().st_size for path in files(server.folder)) <= 64 * 1024)
    assert status_of(server.request("/11")) == "HIT"
    assert status_of(server.request("/0")) == "MISS"


def test_what_was_left_by_a_crash_and_what_is_not_ours(cached, tmp_path):
    folder = tmp_path / "cache" / "a" / "bc"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("keep")
    left = folder / "0123456789abcdef0123456789abcbca.new-1-1"
    left.write_text("half")
    os.utime(left, (1, 1))
    server = cached("proxy_cache_valid 10m;")
    until(lambda: not left.exists())
    assert (folder / "notes.txt").read_text() == "keep"
    assert status_of(server.request("/a")) == "MISS"


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:50] + bytes([data[50] ^ 1]) + data[51:], lambda data: b"", lambda data: b"junk" * 100],
                         ids=["shorter", "changed", "empty", "foreign"])
def test_a_damaged_file_is_fetched_anew(cached, damage):
    server = cached("proxy_cache_valid 10m;")
    server.request("/a")
    [path] = files(server.folder)
    path.write_bytes(damage(path.read_bytes()))
    server.allow_log("is damaged, the response is fetched anew")
    response = server.request("/a")
    assert (response.status, response.body, status_of(response)) == (200, b"/a 2", "MISS")
    assert status_of(server.request("/a")) == "HIT"


def test_a_removed_file_is_fetched_anew(cached):
    server = cached("proxy_cache_valid 10m;")
    server.request("/a")
    files(server.folder)[0].unlink()
    assert [status_of(server.request("/a")) for _ in range(2)] == ["MISS", "HIT"]


def test_an_expired_entry_is_fetched_anew(cached):
    server = cached()
    server.origin.fields = [("Cache-Control", "max-age=1")]
    assert [status_of(server.request("/a")) for _ in range(2)] == ["MISS", "HIT"]
    pause_past_a_second()
    response = server.request("/a")
    assert (status_of(response), response.body) == ("EXPIRED", b"/a 2")


def test_an_expired_entry_is_found_valid_again(cached):
    server = cached("proxy_cache_revalidate on;")
    server.origin.fields = [("Cache-Control", "max-age=1"), ("ETag", '"v1"'), ("Last-Modified", "Sun, 13 Sep 2020 12:26:40 GMT")]
    server.request("/a")
    pause_past_a_second()
    server.origin.status, server.origin.body = 304, b""
    server.origin.fields = [("Cache-Control", "max-age=60"), ("ETag", '"v1"')]
    server.origin.origin.answer = lambda request: b"HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=60\r\nETag: \"v1\"\r\n\r\n"
    response = server.request("/a")
    assert (response.status, response.body, status_of(response)) == (200, b"/a 1", "REVALIDATED")
    assert (server.origin.requests[-1].header("If-None-Match"), server.origin.requests[-1].header("If-Modified-Since")) == (
        '"v1"', "Sun, 13 Sep 2020 12:26:40 GMT")
    assert status_of(server.request("/a")) == "HIT"


@pytest.mark.parametrize("failure, directive", [("status", "http_503"), ("closed", "error"), ("silent", "timeout"), ("garbage", "invalid_header")])
def test_a_stale_entry_stands_in_for_a_failure(cached, failure, directive):
    mode = {"now": "good"}

    async def handler(connection):
        while await connection.read_request():
            if mode["now"] == "good":
                await connection.reply(200, b"good", [("Cache-Control", "max-age=1")])
            elif mode["now"] == "status":
                await connection.reply(503, b"bad")
            elif mode["now"] == "silent":
                await asyncio.sleep(3)
            elif mode["now"] == "garbage":
                await connection.send(b"no http at all\r\n\r\n")
                return
            else:
                return

    server = cached(f"proxy_cache_use_stale {directive}; proxy_read_timeout 500ms; proxy_next_upstream off;", handler=handler)
    assert server.request("/a").body == b"good"
    pause_past_a_second()
    mode["now"] = failure
    response = server.request("/a")
    assert (response.status, response.body, status_of(response)) == (200, b"good", "STALE")


def test_a_failure_without_use_stale_is_passed_on(cached):
    server = cached("proxy_cache_use_stale timeout;")
    server.origin.fields = [("Cache-Control", "max-age=1")]
    server.request("/a")
    pause_past_a_second()
    server.origin.status = 503
    response = server.request("/a")
    assert (response.status, status_of(response)) == (503, "EXPIRED")


def test_stale_if_error_of_the_origin(cached):
    server = cached()
    server.origin.fields = [("Cache-Control", "max-age=1, stale-if-error=60")]
    server.request("/a")
    pause_past_a_second()
    server.origin.status = 500
    assert status_of(server.request("/a")) == "STALE"


def test_no_live_upstream_is_an_error_that_stale_stands_in_for(cached):
    server = cached("proxy_cache_use_stale error;")
    server.origin.fields = [("Cache-Control", "max-age=1")]
    server.request("/a")
    pause_past_a_second()
    server.origin.origin.stop()
    response = server.request("/a")
    assert (response.status, status_of(response)) == (200, "STALE")


def test_a_stale_entry_is_updated_behind_the_response(cached):
    server = cached("proxy_cache_use_stale updating; proxy_cache_background_update on;")
    server.origin.fields = [("Cache-Control", "max-age=1")]
    server.request("/a")
    pause_past_a_second()
    server.origin.fields = [("Cache-Control", "max-age=60")]
    response = server.request("/a")
    assert (response.body, status_of(response)) == (b"/a 1", "STALE")
    until(lambda: server.request("/a").body == b"/a 2")
    assert server.origin.asked["/a"] == 2


def test_while_one_updates_others_are_served_stale(cached):
    gate = threading.Event()
    count = {"requests": 0}

    async def handler(connection):
        while await connection.read_request():
            count["requests"] += 1
            if count["requests"] > 1:
                while not gate.is_set():
                    await asyncio.sleep(0.02)
            await connection.reply(200, str(count["requests"]).encode(), [("Cache-Control", "max-age=1")])

    server = cached("proxy_cache_use_stale updating;", handler=handler)
    server.request("/a")
    pause_past_a_second()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        first = pool.submit(server.request, "/a")
        until(lambda: count["requests"] == 2)
        second = server.request("/a")
        gate.set()
        assert (second.body, status_of(second)) == (b"1", "UPDATING")
        assert (first.result().body, status_of(first.result())) == (b"2", "EXPIRED")


def slow_origin(delay: float, count: dict):
    async def handler(connection):
        while await connection.read_request():
            count["requests"] = count.get("requests", 0) + 1
            await asyncio.sleep(delay)
            await connection.reply(200, b"slow", [("Cache-Control", "max-age=60")])
    return handler


def test_the_lock_lets_one_request_fetch(cached):
    count = {}
    server = cached("proxy_cache_lock on; proxy_cache_lock_timeout 20s; proxy_cache_lock_age 20s;", handler=slow_origin(0.5, count))
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        responses = list(pool.map(lambda _: server.request("/a"), range(16)))
    assert all(response.body == b"slow" for response in responses)
    assert count["requests"] == 1
    assert sorted(status_of(response) for response in responses) == ["HIT"] * 15 + ["MISS"]


def test_without_the_lock_each_request_asks(cached):
    count = {}
    server = cached(handler=slow_origin(0.5, count))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: server.request("/a"), range(4)))
    assert count["requests"] > 1


def test_who_waited_too_long_asks_for_himself_and_does_not_store(cached):
    count = {}
    server = cached("proxy_cache_lock on; proxy_cache_lock_timeout 100ms; proxy_cache_lock_age 20s;", handler=slow_origin(1.5, count))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        responses = list(pool.map(lambda _: server.request("/a"), range(2)))
    assert [status_of(response) for response in responses] == ["MISS", "MISS"]
    assert count["requests"] == 2
    assert "cache lock timeout" in server.error_log()


def test_a_failed_fetch_hands_the_lock_on(cached):
    count = {"requests": 0}

    async def handler(connection):
        while await connection.read_request():
            count["requests"] += 1
            await asyncio.sleep(0.3)
            if count["requests"] == 1:
                return
            await connection.reply(200, b"good", [("Cache-Control", "max-age=60")])

    server = cached("proxy_cache_lock on; proxy_cache_lock_timeout 20s; proxy_next_upstream off;", handler=handler)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        responses = list(pool.map(lambda _: server.request("/a"), range(3)))
    assert sorted(response.status for response in responses) == [200, 200, 502]
    assert count["requests"] == 2


def test_a_slow_client_does_not_hold_up_the_entry(cached):
    server = cached("proxy_cache_valid 10m; proxy_cache_lock on; proxy_cache_lock_timeout 20s; proxy_cache_lock_age 20s;")
    server.origin.body = bytes(range(256)) * 4096 * 16  # 16 MiB: more than any socket's buffers
    slow = server.connect(timeout=60)
    slow.send_request("/big", close=True)
    slow.read_head()
    until(lambda: status_of(server.request("/big")) == "HIT")
    response = server.request("/big")
    assert response.body == server.origin.body
    assert server.origin.asked["/big"] == 1
    assert slow.read_to_end() == server.origin.body


def test_a_client_that_leaves_does_not_end_the_fetch(cached):
    count = {}

    async def handler(connection):
        while await connection.read_request():
            count["requests"] = count.get("requests", 0) + 1
            await connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\n12345")
            await asyncio.sleep(0.5)
            await connection.send(b"67890")

    server = cached(handler=handler)
    client = server.connect()
    client.send_request("/a")
    client.read_head()
    client.reset()
    until(lambda: len(files(server.folder)) == 1 and ".new" not in files(server.folder)[0].name)
    response = server.request("/a")
    assert (response.body, status_of(response)) == (b"1234567890", "HIT")
    assert count["requests"] == 1


def test_a_cut_response_is_not_stored(cached):
    async def handler(connection):
        while await connection.read_request():
            await connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\n12345")
            return

    server = cached(handler=handler)
    client = server.connect()
    client.send_request("/a")
    client.read_head()
    assert client.read_to_end() == b"12345"
    until(lambda: not files(server.folder))
    assert "upstream prematurely closed connection" in server.error_log()


@pytest.mark.parametrize("coding", ["chunked", "close"])
def test_responses_without_a_length_are_stored_whole(cached, coding):
    async def handler(connection):
        while await connection.read_request():
            head = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
            if coding == "close":
                await connection.send(head + b"Connection: close\r\n\r\nabc", b"def", pause=0.2)
                return
            await connection.send(head + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"3\r\ndef\r\n0\r\n\r\n", pause=0.2)

    server = cached(handler=handler)
    assert [(r.body, status_of(r)) for r in (server.request("/a") for _ in range(2))] == [(b"abcdef", "MISS"), (b"abcdef", "HIT")]


def test_a_remembered_failure(cached):
    server = cached("proxy_cache_valid 502 1m; proxy_next_upstream off;", handler=None)
    server.origin.origin.stop()
    assert server.request("/a").status == 502
    server.origin.origin.start()
    response = server.request("/a")
    assert (response.status, status_of(response)) == (502, "HIT")
    assert server.request("/b").status == 200


def test_purging(cached):
    server = cached("proxy_cache_valid 10m; proxy_cache_key $uri$is_args$args; proxy_cache_purge $http_x_purge;")
    for target in ("/a", "/b/1", "/b/2", "/c"):
        server.request(target)
    assert server.request("/a", headers={"X-Purge": "1"}).status == 204
    assert server.request("/a", headers={"X-Purge": "1"}).status == 404
    assert status_of(server.request("/a")) == "MISS"
    assert server.request("/b/*", headers={"X-Purge": "1"}).status == 204
    server.wait_for_log(r'cache zone "zone": 2 entries purged')
    assert [status_of(server.request(target)) for target in ("/b/1", "/b/2", "/c")] == ["MISS", "MISS", "HIT"]


def test_a_key_of_the_requests_body(cached):
    server = cached("proxy_cache_valid 10m; proxy_cache_methods POST; proxy_cache_key $uri|$request_body;")

    def post(body: bytes):
        response = server.request("/a", method="POST", body=body)
        return status_of(response), response.body
    assert [post(b"x=1"), post(b"x=2"), post(b"x=1"), post(b"x=2")] == [("MISS", b"/a 1"), ("MISS", b"/a 2"), ("HIT", b"/a 1"), ("HIT", b"/a 2")]


def test_a_range_far_into_the_response_is_passed_on(cached):
    server = cached("proxy_cache_valid 10m; proxy_cache_max_range_offset 100;")
    server.request("/a", headers={"Range": "bytes=200-300"})
    assert server.origin.requests[-1].header("Range") == "bytes=200-300"
    server.request("/b", headers={"Range": "bytes=10-20"})
    assert server.origin.requests[-1].header("Range") is None
    assert [status_of(server.request(target)) for target in ("/a", "/b")] == ["MISS", "HIT"]


def test_a_zone_by_variable(cached):
    server = cached("proxy_cache $arg_zone; proxy_cache_valid 10m; proxy_cache_key $uri;")
    assert [status_of(server.request("/a?zone=zone")) for _ in range(2)] == ["MISS", "HIT"]
    assert status_of(server.request("/a")) is None
    assert server.request("/a?zone=other").status == 500
    assert 'cache "other" not found' in server.error_log()


@pytest.mark.parametrize("shape", ["gzip on; gzip_types *; gzip_min_length 1;", "sub_filter secret public; sub_filter_once off; sub_filter_types *;"], ids=["gzip", "sub"])
def test_filters_act_on_what_is_stored(cached, shape):
    server = cached(f"proxy_cache_valid 10m; {shape}")
    server.origin.body, server.origin.fields = b"the secret " * 2000, [("Content-Type", "text/html")]

    def text():
        response = server.request("/a", headers={"Accept-Encoding": "gzip"})
        return status_of(response), gzip.decompress(response.body) if response.header("Content-Encoding") else response.body
    expected = server.origin.body if shape.startswith("gzip") else server.origin.body.replace(b"secret", b"public")
    assert [text() for _ in range(2)] == [("MISS", expected), ("HIT", expected)]


RULES = """
modsecurity on;
modsecurity_rules '
  SecRuleEngine On
  SecResponseBodyAccess On
  SecResponseBodyMimeType text/html
  SecRule ARGS "@contains attack" "id:1,phase:2,deny,status:403"
  SecRule RESPONSE_BODY "@contains leaked" "id:2,phase:4,deny,status:403"
';
"""


def test_the_waf_judges_requests_that_the_cache_would_answer(cached):
    server = cached("proxy_cache_valid 10m; proxy_cache_key $uri;", server=RULES)
    assert [status_of(server.request("/a")) for _ in range(2)] == ["MISS", "HIT"]
    assert server.request("/a?x=attack").status == 403


def test_the_waf_judges_stored_responses_too(cached):
    first = cached("proxy_cache_valid 10m;")
    first.origin.body, first.origin.fields = b"<p>leaked</p>", [("Content-Type", "text/html")]
    assert first.request("/a").status == 200
    first.stop()
    second = cached("proxy_cache_valid 10m;", server=RULES, origin=first.origin.origin)
    second.origin.body, second.origin.fields = b"<p>leaked</p>", [("Content-Type", "text/html")]
    assert second.request("/a").status == 403
    assert second.request("/b").status == 403, "it was judged before it was stored"
    assert second.origin.asked["/b"] == 1
    assert second.request("/b").status == 403
    assert second.origin.asked["/b"] == 2, "what was refused is not stored"


def test_an_inspected_response_is_stored(cached):
    server = cached("proxy_cache_valid 10m;", server=RULES)
    server.origin.body, server.origin.fields = b"<p>" + b"fine " * 50000 + b"</p>", [("Content-Type", "text/html")]
    responses = [server.request("/a") for _ in range(2)]
    assert [status_of(response) for response in responses] == ["MISS", "HIT"]
    assert all(response.body == server.origin.body for response in responses)


def test_a_folder_that_can_not_be_made_is_told(gatehouse, tmp_path):
    (tmp_path / "file").write_text("")
    server = gatehouse(f"proxy_cache_path {tmp_path}/file/cache keys_zone=one:1m; server {{ listen 127.0.0.1:@http@; }}", start=False)
    server.configure()
    told = subprocess.run(server.command("-t"), capture_output=True, text=True, check=False)
    assert told.returncode != 0
    assert "mkdir()" in told.stderr and "failed (20: Not a directory)" in told.stderr
