"""The admin listener: metrics by route, health, readiness."""

import re
import signal
import time

import pytest

from harness.origin import reply
from harness.server import ROOT
from harness.websocket import WebSocket, echo_origin

SITE = """server { listen 127.0.0.1:@http@; server_name site.example;
    location / { proxy_pass http://127.0.0.1:@origin@; }
    location /api/ { proxy_pass http://127.0.0.1:@origin@; }
    location = /gone { return 410; } }"""
SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")


@pytest.fixture
def site(gatehouse, origin):
    def make(http=SITE, **options):
        return gatehouse(http, origin=origin.port, **options)
    return make


def eventually(measure, expected, timeout=10.0):
    """Counts are summed when they are scraped, and an exchange is counted when it ends: wait for it."""
    deadline = time.monotonic() + timeout
    while (found := measure()) != expected:
        assert time.monotonic() < deadline, f"wanted {expected}, got {found}"
        time.sleep(0.05)


def samples(server) -> list[tuple[str, dict[str, str], float]]:
    return [(match[1], dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or "")), float(match[3]))
            for line in server.metrics().splitlines() if (match := SAMPLE.fullmatch(line))]


@pytest.mark.smoke
def test_health_and_readiness(site):
    server = site()
    for path in ("/healthz", "/readyz"):
        assert server.request(path, port="admin").status == 200
    assert server.request("/", port="admin").status in (200, 404)
    assert server.request("/metrics", port="admin", method="POST", body=b"").status in (404, 405)


def test_readiness_ends_when_the_server_drains(gatehouse, make_origin):
    """While it drains, /readyz says so, so that a balancer in front looks elsewhere."""
    server = gatehouse("""server { listen 127.0.0.1:@http@; location / { proxy_pass http://127.0.0.1:@origin@;
        proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; } }""", origin=make_origin(echo_origin).port)
    tunnel = WebSocket(server.connect())
    tunnel.echo(b"x")
    server.signal(signal.SIGQUIT)
    deadline = time.monotonic() + 5
    while True:
        try:
            if server.request("/readyz", port="admin").status == 503:
                break
        except OSError:
            break
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.smoke
def test_requests_by_route_status_and_method(site):
    server = site()
    for target, method in [("/", "GET"), ("/x", "GET"), ("/api/y", "GET"), ("/api/y", "POST"), ("/gone", "GET")]:
        server.request(target, method=method, host="site.example")
    total = "gatehouse_requests_total"
    eventually(lambda: server.metric(total, route="/", status="200", method="GET"), 2)
    eventually(lambda: server.metric(total, route="/api/", status="200", method="GET"), 1)
    eventually(lambda: server.metric(total, route="/api/", status="200", method="POST"), 1)
    eventually(lambda: server.metric(total, status="410"), 1)
    assert server.metric(total, route="/", server="site.example") == 2


def test_counting_many_requests_loses_none(site):
    """Counters are per thread and summed when scraped: the sum is exact."""
    server = site(workers=2)
    clients = [server.connect() for _ in range(16)]
    for _ in range(25):
        for client in clients:
            client.send_request("/")
        for client in clients:
            assert client.read_response().status == 200
    eventually(lambda: server.metric("gatehouse_requests_total", route="/", status="200"), 400)


def test_the_text_follows_prometheus_conventions(site):
    server = site()
    server.request("/", host="site.example")
    text = server.metrics()
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    helps = dict(re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE))
    assert types and set(types) == set(helps)
    for name, kind in types.items():
        assert name.startswith(("gatehouse_", "process_")), name
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name), name
        if name.startswith("gatehouse_"):
            assert (kind == "counter") == name.endswith("_total"), (name, kind)
        assert not name.endswith(("_ms", "_milliseconds", "_kb", "_count", "_sum", "_bucket")), name
    for name, labels, value in samples(server):
        family = re.sub(r"_(bucket|sum|count)$", "", name) if name not in types else name
        assert family in types, name
        assert all(re.fullmatch(r"[a-z][a-z0-9_]*", label) for label in labels), labels
        assert value >= 0 or types[family] == "gauge"
    response = server.request("/metrics", port="admin")
    assert response.header("content-type").startswith("text/plain")


def test_histograms_are_cumulative_and_complete(site):
    server = site()
    for _ in range(10):
        server.request("/", host="site.example")
    eventually(lambda: server.metric("gatehouse_requests_total", route="/"), 10)
    found = samples(server)
    histograms = {name.removesuffix("_bucket") for name, _, _ in found if name.endswith("_bucket")}
    assert any("request" in name and name.endswith("_seconds") for name in histograms)
    assert any("upstream" in name and name.endswith("_seconds") for name in histograms)
    for name in histograms:
        series: dict[tuple, list[tuple[float, float]]] = {}
        for sample, labels, value in found:
            if sample == f"{name}_bucket":
                key = tuple(sorted((label, text) for label, text in labels.items() if label != "le"))
                series.setdefault(key, []).append((float(labels["le"].replace("+Inf", "inf")), value))
        for key, buckets in series.items():
            buckets.sort()
            assert [count for _, count in buckets] == sorted(count for _, count in buckets), (name, key)
            total = next(value for sample, labels, value in found if sample == f"{name}_count" and tuple(sorted(labels.items())) == key)
            assert buckets[-1] == (float("inf"), total), (name, key)


def test_waf_verdicts_and_rule_hits(site):
    server = site(f"modsecurity on; modsecurity_rules_file {ROOT}/rules/gatehouse-crs.conf; modsecurity_rules 'SecAuditLog @dir@/audit.log'; {SITE}")
    headers = {"User-Agent": "Mozilla/5.0", "Accept": "*/*"}
    assert server.request("/", host="site.example", headers=headers).status == 200
    assert server.request("/api/?q=1%27%20or%20%271%27=%271", host="site.example", headers=headers).status == 403
    eventually(lambda: server.metric("gatehouse_requests_total", route="/api/", status="403"), 1)
    assert server.metric("gatehouse_waf_rule_hits_total", rule_id="942100") == 1
    assert server.metric("gatehouse_waf_verdicts_total", route="/api/", outcome="denied") == 1
    assert server.metric("gatehouse_waf_verdicts_total", route="/", outcome="clean") == 1


def test_label_values_are_bounded(site):
    """Whatever clients send, no new label value comes of it: methods, hosts and paths of strangers are grouped."""
    server = site()
    server.request("/", host="site.example")
    eventually(lambda: server.metric("gatehouse_requests_total", route="/"), 1)
    before = len(server.metrics().splitlines())
    for number in range(60):
        server.request(f"/path-{number}", host=f"host-{number}.example", method="METHOD" + chr(65 + number // 26) + chr(65 + number % 26))
    eventually(lambda: server.metric("gatehouse_requests_total", route="/"), 61)
    text = server.metrics()
    assert len(text.splitlines()) < before + 40
    assert "METHOD" not in text and "host-5" not in text and "path-5" not in text


def test_pool_reuse_and_peers(site, origin):
    server = site("upstream backend { server 127.0.0.1:@origin@; } server { listen 127.0.0.1:@http@; location / { proxy_pass http://backend; } }", workers=1)
    client = server.connect()
    for _ in range(10):
        client.request("/")
    eventually(lambda: server.metric("gatehouse_upstream_requests_reused_total"), 9)
    assert server.metric("gatehouse_upstream_connections_opened_total") == 1
    assert server.metric("gatehouse_upstream_peer_up", upstream="backend", peer=f"127.0.0.1:{origin.port}") == 1


def test_tls_handshakes_by_version_and_resumption(gatehouse, authority):
    server = gatehouse(f"server {{ listen 127.0.0.1:@http@ ssl; {authority.issue('localhost').directives} return 200; }}")
    server.request("/", tls=authority.client(versions=("TLSv1_2", "TLSv1_2")))
    server.request("/", tls=authority.client(versions=("TLSv1_3", "TLSv1_3")))
    for version in ("TLSv1.2", "TLSv1.3"):
        eventually(lambda version=version: server.metric("gatehouse_tls_handshakes_total", version=version, resumed="false"), 1)


def test_the_configuration_s_generation_and_the_last_reload(gatehouse):
    server = gatehouse('server { listen 127.0.0.1:@http@; return 200; }')
    server.allow_log("emerg")
    first = server.metric("gatehouse_config_generation")
    server.signal(signal.SIGHUP)
    eventually(lambda: server.metric("gatehouse_config_generation"), first + 1)
    assert server.metric("gatehouse_config_last_reload_successful") == 1
    server.configure(raw="nonsense;\n")
    server.signal(signal.SIGHUP)
    eventually(lambda: server.metric("gatehouse_config_last_reload_successful"), 0)
    assert server.metric("gatehouse_config_generation") == first + 1


def test_counts_outlive_a_reload(site):
    server = site()
    server.request("/", host="site.example")
    eventually(lambda: server.metric("gatehouse_requests_total", route="/"), 1)
    generation = server.metric("gatehouse_config_generation")
    server.signal(signal.SIGHUP)
    eventually(lambda: server.metric("gatehouse_config_generation"), generation + 1)
    server.request("/", host="site.example")
    eventually(lambda: server.metric("gatehouse_requests_total", route="/"), 2)


def test_bytes_and_connections(gatehouse, make_origin):
    origin = make_origin()
    origin.answer = lambda request: reply(200, b"x" * 100_000)
    server = gatehouse("server { listen 127.0.0.1:@http@; location / { proxy_pass http://127.0.0.1:@origin@; } }", origin=origin.port)
    client = server.connect()
    client.request("/", method="POST", body=b"y" * 50_000)
    eventually(lambda: server.metric("gatehouse_requests_total", route="/"), 1)
    assert server.metric("gatehouse_response_bytes_total", route="/") >= 100_000
    assert server.metric("gatehouse_request_bytes_total", route="/") >= 50_000
    open_before = server.metric("gatehouse_connections")
    client.close()
    eventually(lambda: server.metric("gatehouse_connections") < open_before, True)


def test_process_figures(site):
    server = site()
    assert server.metric("process_resident_memory_bytes") > 1 << 20
    assert server.metric("process_open_fds") > 3
    eventually(lambda: server.metric("process_cpu_seconds_total") > 0, True)
