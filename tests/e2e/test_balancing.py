"""Which peer gets a request: the methods of `upstream`, as nginx computes them."""

import asyncio
import collections
import json
import time

import pytest

SERVER = """
upstream group {{ {method} {peers} }}
server {{ listen 127.0.0.1:@http@; location / {{ proxy_pass http://group; proxy_next_upstream_timeout 5s; {more} }} }}
"""


@pytest.fixture
def group(gatehouse, make_origin):
    """group(method, parameters...): a server in front of as many origins as there are parameters, named a, b, c ..."""
    def make(method="", *parameters, more="", workers=1):
        origins = [make_origin(name=name) for name, _ in zip("abcdefgh", parameters)]
        peers = "".join(f"server 127.0.0.1:{origin.port} {text};" for origin, text in zip(origins, parameters))
        server = gatehouse(SERVER.format(method=method, peers=peers, more=more), workers=workers)
        server.origins = origins
        return server
    return make


def served(server, count, target=lambda number: f"/{number}", headers=lambda number: {}) -> list[str]:
    client = server.connect()
    return [json.loads(client.request(target(number), headers=headers(number)).body)["origin"] for number in range(count)]


@pytest.mark.smoke
def test_round_robin_is_smooth_and_weighted(group):
    """Weights 5, 1, 1 give nginx's order a a b a c a a."""
    assert "".join(served(group("", "weight=5", "weight=1", "weight=1"), 14)) == "aabacaa" * 2


def test_a_backup_waits_until_the_others_are_down(group):
    server = group("", "", "backup")
    assert set(served(server, 4)) == {"a"}
    server.origins[0].stop()
    assert set(served(server, 4)) == {"b"}


def test_a_peer_marked_down_gets_nothing(group):
    assert set(served(group("", "down", "", ""), 10)) == {"b", "c"}


def test_least_conn_prefers_the_idle_peer(group, gatehouse, make_origin):
    """With one peer held by a slow request, the others get the rest."""
    async def slow(connection):
        while request := await connection.read_request():
            if request.target == "/slow":
                await asyncio.sleep(3)
            await connection.send(origin.answer(request))

    origin = make_origin(slow, name="a")
    other = make_origin(name="b")
    server = gatehouse(SERVER.format(method="least_conn;", more="",
                                     peers=f"server 127.0.0.1:{origin.port}; server 127.0.0.1:{other.port};"), workers=1)
    first = server.connect()
    first.send_request("/slow")
    time.sleep(0.3)
    assert served(server, 6) == ["b"] * 6


def test_ip_hash_keeps_a_client_at_its_peer(group):
    assert len(set(served(group("ip_hash;", "", "", ""), 10))) == 1


def test_hash_keeps_a_key_at_its_peer(group):
    server = group("hash $arg_k;", "", "", "")
    first = served(server, 30, target=lambda n: f"/?k={n}")
    assert first == served(server, 30, target=lambda n: f"/?k={n}")
    assert len(set(first)) == 3


def test_consistent_hash_moves_few_keys_when_a_peer_leaves(group):
    server = group("hash $arg_k consistent;", "", "", "", "")
    before = served(server, 200, target=lambda n: f"/?k={n}")
    gone = server.origins[3]
    gone.stop()
    after = served(server, 200, target=lambda n: f"/?k={n}")
    assert all(new == old for old, new in zip(before, after) if old != "d")
    assert "d" not in after


def test_hash_agrees_with_nginx(group, nginx):
    """The same keys go to the same peers in nginx, so a group can be served by both."""
    for method in ("hash $arg_k;", "hash $arg_k consistent;"):
        server = group(method, "weight=2", "", "")
        peers = "".join(f"server 127.0.0.1:{origin.port} {'weight=2' if n == 0 else ''};" for n, origin in enumerate(server.origins))
        reference = nginx(SERVER.format(method=method, peers=peers, more=""))
        assert served(server, 60, target=lambda n: f"/?k={n}") == served(reference, 60, target=lambda n: f"/?k={n}")


def test_random_two_uses_every_peer(group):
    counted = collections.Counter(served(group("random two least_conn;", "", "", ""), 90))
    assert set(counted) == {"a", "b", "c"}


def test_max_conns(group, gatehouse, make_origin):
    """A peer at its limit is passed over; with all at their limits the answer is 502."""
    async def slow(connection):
        while request := await connection.read_request():
            await asyncio.sleep(2)
            await connection.send(origin.answer(request))

    origin = make_origin(slow, name="a")
    server = gatehouse(SERVER.format(method="", more="", peers=f"server 127.0.0.1:{origin.port} max_conns=1;"), workers=1)
    holding = server.connect()
    holding.send_request("/1")
    deadline = time.monotonic() + 3
    while origin.connections == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.request("/2").status == 502
    assert holding.read_response().status == 200


def test_a_failed_peer_rests_and_comes_back(group):
    """max_fails=1 fail_timeout=1s: after a failure nothing for a second, then one try."""
    server = group("", "max_fails=1 fail_timeout=1s", "")
    server.origins[0].stop()
    assert set(served(server, 6)) == {"b"}
    log = server.error_log().count("connect() failed")
    assert log == 1
    server.origins[0].start()
    time.sleep(1.2)
    assert set(served(server, 6)) == {"a", "b"}


def test_a_name_is_resolved_while_running(gatehouse, origin):
    """localhost resolves, a name that does not resolve leaves the start alone and answers 502."""
    server = gatehouse("""server { listen 127.0.0.1:@http@; resolver_timeout 2s;
        location /here { proxy_pass http://localhost:@origin@; } location /nowhere { proxy_pass http://no-such-name.invalid; } }""",
                       origin=origin.port)
    assert server.request("/here").status == 200
    assert server.request("/nowhere").status == 502
