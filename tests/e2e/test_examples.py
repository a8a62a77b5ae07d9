"""Every configuration of conf/examples does for its users what its first line says."""

import gzip
import json
import re
import shutil
import socket
import threading

import pytest

from harness.origin import reply
from harness.server import ROOT
from harness.websocket import WebSocket, echo_origin

BACKEND = re.compile(r"127\.0\.0\.1:(\d+)(?=[;/ ])")


@pytest.fixture
def example(gatehouse, authority, origin):
    """example(NAME, {port: origin}): the example as it is shipped, but for ports, folders and certificates; port 443 is `https`,
    port 80 `http`, any other `pN`. Backends without an origin of their own are the fixture's `origin`."""

    def make(name: str, origins: dict[int, int] | None = None, **options):
        text = (ROOT / "conf/examples" / f"{name}.conf").read_text()
        folders = {"/var/log/gatehouse/error.log": "@dir@/error.log", "/var/log/gatehouse": "@dir@", "/run/gatehouse/gatehouse.pid": "@dir@/pid",
                   "/var/lib/gatehouse": "@dir@/lib", "/etc/gatehouse": "@dir@/etc"}
        for old, new in folders.items():
            text = text.replace(old, new)
        text = re.sub(r"(error_log @dir@/error\.log) \w+;", r"\1 info;\ndaemon off;", text)
        text = BACKEND.sub(lambda match: f"127.0.0.1:{(origins or {}).get(int(match[1]), origin.port)}", text)
        names = {"80": "http", "443": "https"}
        text = re.sub(r"(listen\s+)(\d+)\b", lambda match: f"{match[1]}127.0.0.1:@{names.get(match[2], 'p' + match[2])}@", text)
        server = gatehouse("", start=False, **options)
        pair = authority.issue("example.com", "*.example.com", "*.app.example.com")
        (server.directory / "etc/tls").mkdir(parents=True)
        (server.directory / "lib").mkdir()
        for certificate in set(re.findall(r"etc/tls/([\w.]+)\.crt", text)):
            shutil.copy(pair.certificate, server.directory / f"etc/tls/{certificate}.crt")
            shutil.copy(pair.key, server.directory / f"etc/tls/{certificate}.key")
        server._template = text
        return server

    return make


def told(response) -> dict[str, str]:
    """The fields that reached the origin, by lower-case name."""
    return {name.lower(): value for name, value in json.loads(response.body)["headers"]}


def test_tls_offload(example, authority):
    server = example("tls-offload")
    server.write("lib/acme/.well-known/acme-challenge/token", "proof\n")
    server.start()
    moved = server.request("/a?b=c", host="shop.example.com")
    assert (moved.status, moved.header("location")) == (301, "https://shop.example.com/a?b=c")
    challenge = server.request("/.well-known/acme-challenge/token", host="shop.example.com")
    assert (challenge.status, challenge.body) == (200, b"proof\n")
    answer = server.request("/x", port="https", tls=authority.client(), host="shop.example.com")
    assert answer.header("strict-transport-security") == "max-age=63072000; includeSubDomains"
    assert told(answer)["x-forwarded-proto"] == "https"
    assert told(answer)["x-forwarded-for"] == "127.0.0.1"


def test_wordpress(example, origin):
    origin.answer = lambda request: reply(200, b"body { color: red; }\n" * 200, [("Content-Type", "text/css")])
    server = example("wordpress").start()
    style = server.request("/style.css", host="blog.example.com", headers={"Accept-Encoding": "gzip"})
    assert style.header("content-encoding") == "gzip"
    assert gzip.decompress(style.body) == b"body { color: red; }\n" * 200
    assert style.header("cache-control") == "max-age=2592000"
    statuses = [server.request("/wp-login.php", method="POST", body=b"log=a", host="blog.example.com").status for _ in range(8)]
    assert statuses == [200] * 6 + [429] * 2
    for target, status in [("/xmlrpc.php", 403), ("/.git/config", 403), ("/wp-content/uploads/x.php", 403), ("/.well-known/x", 200), ("/2026/post/", 200)]:
        assert server.request(target, host="blog.example.com").status == status, target


def test_nextcloud(example, authority, origin):
    server = example("nextcloud").start()
    tls = authority.client()
    found = server.request("/.well-known/caldav", port="https", tls=tls, host="cloud.example.com")
    assert (found.status, found.header("location")) == (301, "https://cloud.example.com/remote.php/dav")
    body = b"x" * 3_000_000
    put = server.request("/remote.php/dav/files/a", method="PUT", body=body, port="https", tls=tls, host="cloud.example.com")
    assert put.status == 200
    assert origin.requests[-1].body == body
    assert put.header("x-robots-tag") == "noindex, nofollow"
    assert told(put)["x-forwarded-proto"] == "https"


def test_grafana(example, make_origin):
    server = example("grafana", {3000: make_origin(echo_origin).port}).start()
    assert server.request("/", host="monitoring.example.com").header("location") == f"http://monitoring.example.com:{server.port()}/grafana/"
    assert server.request("/grafana/d/abc?x=1", host="monitoring.example.com").header("x-target") == "/d/abc?x=1"
    live = WebSocket(server.connect(), "/grafana/api/live/ws", host="monitoring.example.com")
    live.echo(b"tick")
    live.client.close()


def test_gitlab(example, authority, origin):
    server = example("gitlab").start()
    tls = authority.client()
    assert server.request("/group/project", host="git.example.com").header("location") == "https://git.example.com/group/project"
    assert told(server.request("/", port="https", tls=tls, host="git.example.com"))["x-forwarded-ssl"] == "on"
    pushed = server.request("/g/p.git/git-receive-pack", method="POST", body=b"p" * 2_000_000, port="https", tls=tls, host="git.example.com")
    assert pushed.status == 200
    origin.stop()
    resting = server.request("/", port="https", tls=tls, host="git.example.com")
    assert (resting.status, resting.body, resting.header("retry-after")) == (503, b"<h1>GitLab is starting</h1>\n", "30")
    origin.start()


def test_registry(example, authority, origin):
    server = example("registry")
    server.write("etc/registry.users", "ci:{PLAIN}secret\n")
    server.start()
    tls, host = authority.client(), "registry.example.com"
    refused = server.request("/v2/", port="https", tls=tls, host=host)
    assert (refused.status, refused.header("www-authenticate")) == (401, 'Basic realm="Registry"')
    assert refused.header("docker-distribution-api-version") == "registry/2.0"
    login = {"Authorization": "Basic Y2k6c2VjcmV0"}
    layer = b"layer" * 400_000
    assert server.request("/v2/app/blobs/uploads/1", method="PATCH", body=layer, port="https", tls=tls, host=host, headers=login).status == 200
    assert origin.requests[-1].body == layer
    assert server.request("/v2/", port="https", tls=tls, host=host, headers={**login, "User-Agent": "Go 1.1 package http"}).status == 404
    assert server.request("/", port="https", tls=tls, host=host).status == 404


def test_api(example, make_origin):
    tokens = make_origin()
    tokens.answer = lambda request: reply(204, b"", [("X-Account", "acme")])[:-len(b"Content-Length: 0\r\n\r\n")] + b"\r\n" \
        if request.header("Authorization") == "Bearer good" else reply(401)
    server = example("api", {9100: tokens.port}).start()
    host, good = "api.example.com", {"Authorization": "Bearer good", "X-Api-Key": "k"}
    answer = server.request("/v1/accounts/7?x=1", host=host, headers=good)
    assert answer.status == 200
    assert told(answer)["x-account"] == "acme"
    assert b"GET /accounts/7?x=1" in answer.body
    assert tokens.requests[0].header("X-Original-URI") == "/v1/accounts/7?x=1"
    refused = server.request("/v1/accounts/7", host=host)
    assert (refused.status, refused.body) == (401, b'{"error":"a valid token is needed"}\n')
    assert server.request("/health", host=host).body == b'{"status":"ok"}\n'
    assert server.request("/v1/orders/1", method="DELETE", host=host, headers=good).status == 403
    statuses = [server.request("/v1/orders/1", host=host, headers=good) for _ in range(12)]
    limited = [answer for answer in statuses if answer.status == 429]
    assert limited and limited[0].body == b'{"error":"too many requests"}\n'
    assert limited[0].header("retry-after") == "1"
    server.wait_for_access(r'"account":"acme","limit":"PASSED"')


def test_saas(example, make_origin):
    shared, dedicated = make_origin(name="shared"), make_origin(name="dedicated")
    server = example("saas", {8001: shared.port, 8002: dedicated.port}).start()
    for host, pool, tenant in [("acme.app.example.com", "dedicated", "acme"), ("other.app.example.com", "shared", "other"),
                               ("www.customer.example.org", "shared", "customer"), ("customer.example.org", "shared", "customer")]:
        answer = server.request("/", host=host)
        assert (answer.header("x-origin"), told(answer)["x-tenant"]) == (pool, tenant)
    assert told(server.request("/", host="beta.app.example.com"))["x-canary"] == "1"
    assert told(server.request("/", host="acme.app.example.com"))["x-variant"] in ("a", "b")
    assert server.request("/robots.txt", host="acme.app.example.com").body == b"User-agent: *\nDisallow: /\n"
    stranger = server.connect()
    stranger.send_request("/", host="unknown.example.com")
    stranger.assert_closed()


def test_spa(example):
    server = example("spa")
    script = "let answer = 42;\n" * 100
    server.write("lib/app/index.html", "<div id=app></div>\n")
    server.write("lib/app/assets/app.1a2b.js", script)
    server.write("lib/app/assets/app.1a2b.js.gz", gzip.compress(script.encode()))
    server.start()
    for target in ("/", "/orders/7", "/index.html"):
        page = server.request(target, host="app.example.com")
        assert (page.status, page.body, page.header("cache-control")) == (200, b"<div id=app></div>\n", "no-cache")
    packed = server.request("/assets/app.1a2b.js", host="app.example.com", headers={"Accept-Encoding": "gzip"})
    assert packed.header("content-encoding") == "gzip"
    assert gzip.decompress(packed.body) == script.encode()
    assert "max-age=315360000" in packed.all("cache-control")
    assert server.request("/assets/none.js", host="app.example.com").status == 404
    assert b'"GET /items?q=1' in server.request("/api/items?q=1", host="app.example.com").body


def test_cdn(example, origin):
    counted = []

    def answer(request):
        counted.append(request.target)
        return reply(200, f"answer {len(counted)}".encode(), [("Content-Type", "text/css"), ("Set-Cookie", "a=b")])

    origin.answer = answer
    server = example("cdn").start()
    first, second = (server.request("/style.css", host="cdn.example.com") for _ in range(2))
    assert (first.header("x-cache"), second.header("x-cache")) == ("MISS", "HIT")
    assert first.body == second.body
    assert second.all("set-cookie") == []
    bypassed = server.request("/style.css", host="cdn.example.com", headers={"X-Purge-Token": "1"})
    assert (bypassed.header("x-cache"), bypassed.body) == ("BYPASS", b"answer 2")
    assert server.request("/style.css", host="cdn.example.com").body == b"answer 2"
    assert [server.request("/live/x", host="cdn.example.com").body for _ in range(2)] == [b"answer 3", b"answer 4"]
    server.wait_for_access(r'"GET /style.css HTTP/1.1" 200 8 HIT')


def echo_server(reply_with: bytes) -> socket.socket:
    """A TCP service that answers one line with `reply_with` and the line."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                peer.sendall(reply_with + peer.recv(1000))

    threading.Thread(target=serve, daemon=True).start()
    return listener


def test_tcp_udp(example):
    primary_port = socket.create_server(("127.0.0.1", 0))
    dead = primary_port.getsockname()[1]
    primary_port.close()
    standby, dns = echo_server(b"standby:"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    dns.bind(("127.0.0.1", 0))
    server = example("tcp-udp", {5433: dead, 5434: standby.getsockname()[1], 5353: dns.getsockname()[1]}).start()
    with socket.create_connection(("127.0.0.1", server.port("p5432")), timeout=10) as client:
        client.sendall(b"query\n")
        assert client.makefile("rb").read() == b"standby:query\n"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.sendto(b"question", ("127.0.0.1", server.port("p53")))
        question, peer = dns.recvfrom(1000)
        dns.sendto(b"answer to " + question, peer)
        assert client.recv(1000) == b"answer to question"
    standby.close()
    dns.close()
