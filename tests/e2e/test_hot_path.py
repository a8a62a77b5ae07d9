"""What one more small request costs in steady state: no heap allocation, and four system calls beside the waiting; and what an idle
connection costs."""

import pathlib
import re

import pytest

from harness.counting import Allocations, PlainServer, SystemCalls, told_stacks
from harness.origin import reply
from harness.server import ROOT

WARM_UP = 300
REQUESTS = 1000
HTTP = """
  upstream origin {{ server 127.0.0.1:@origin@; keepalive 8; keepalive_requests 100000; }}
  server {{
    listen 127.0.0.1:@http@ {ssl};
    access_log @dir@/access.log {log};
    keepalive_requests 100000;
    {server}
    location / {{ proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; {location} }}
  }}
"""
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate, br",
    "Referer": "http://localhost/shop/shoes",
    "Cookie": "sid=7f3a9c2e51b84d06a1f2; theme=dark; lang=en; cart=3-17-204",
    "Upgrade-Insecure-Requests": "1",
}
FORWARDED = ("proxy_set_header Host $host; proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Forwarded-For "
             "$proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;")


@pytest.fixture
def plain_server(request):
    """plain_server(http_block, **options): a running server without a sanitizer, stopped and judged at the end."""
    made = []
    request.node.servers = made

    def make(http: str, **options) -> PlainServer:
        server = PlainServer(http, workers=1, **options)
        made.append(server)
        return server.start()

    yield make
    for server in made:
        server.stop()
        server.discard()


@pytest.fixture
def short_origin(make_origin):
    """An origin that answers each request with the same short text."""
    origin = make_origin()
    origin.answer = lambda request: reply(200, b"Hello, this is the origin\n", [("Content-Type", "text/plain")])
    return origin


def ask(client, count: int, **request) -> None:
    for _ in range(count):
        assert client.request("/shop/item?id=42", **request).status == 200


# Held to clean requests that the fast path proves, with what comes back.
WAF = f"modsecurity on; modsecurity_rules_file {ROOT}/rules/gatehouse-crs.conf; modsecurity_rules 'SecAuditLog @dir@/audit.log';"
FORM = {"method": "POST", "body": b"name=Ada+Lovelace&city=London&comment=Please+ring+twice",
        "headers": {**BROWSER, "Content-Type": "application/x-www-form-urlencoded"}}
DOCUMENT = {"method": "POST", "body": b'{"order": 4711, "items": [{"sku": "A-17", "count": 2}], "gift": false}',
            "headers": {**BROWSER, "Content-Type": "application/json"}}
BODY = {"method": "POST", "body": b"x" * 500}
# Parts of the configuration, the request, and blocks that each request may take.
CASES = {
    "a small request": ({}, {}, 0),
    "a browser's request with forwarded fields": ({"location": FORWARDED}, {"headers": BROWSER}, 0),
    "a request with a body": ({}, BODY, 0),
    "a request with a body that is passed on as it comes": ({"location": "proxy_request_buffering off;"}, BODY, 0),
    "through the WAF": ({"server": WAF}, {"headers": BROWSER}, 0),
    "a form through the WAF": ({"server": WAF}, FORM, 0),
    "a document through the WAF": ({"server": WAF}, DOCUMENT, 0),
    # libssl takes its record buffers, and what it knows of them, for each record and gives them back.
    "over TLS": ({"ssl": "ssl"}, {}, 6),
}


@pytest.mark.smoke
@pytest.mark.limit(180)
@pytest.mark.parametrize("case", CASES)
def test_a_request_in_steady_state_allocates_nothing(plain_server, short_origin, authority, tmp_path, case):
    """The access log and the metrics are on. Upkeep once a second is not a request's, but needs no block either."""
    parts, request, allowed = CASES[case]
    parts = {"log": "combined", "ssl": "", "server": "", "location": "", **parts}
    tls = None
    if parts["ssl"]:
        parts["server"] = authority.issue("localhost").directives
        tls = authority.client()
    counted = Allocations(tmp_path)
    server = plain_server(HTTP.format(**parts), origin=short_origin.port, environment=counted.environment)
    client = server.connect(tls=tls, name="localhost" if tls else None)
    ask(client, WARM_UP, **request)
    assert counted.blocks > 0, "nothing is counted: the library is not in the event thread"
    counted.tell(3)
    before = counted.blocks
    ask(client, REQUESTS, **request)
    blocks = counted.blocks - before
    assert blocks <= allowed * REQUESTS, f"{blocks} blocks for {REQUESTS} requests, of which the first:\n{told_stacks(server)}"
    server.wait_for_access("GET|POST", count=WARM_UP + REQUESTS)
    assert server.metric("gatehouse_requests_total") >= WARM_UP + REQUESTS
    assert short_origin.connections == 1


@pytest.mark.smoke
@pytest.mark.limit(180)
def test_a_small_request_takes_four_system_calls_and_its_waits(plain_server, short_origin):
    """Receive, send up, receive, send down, each once; a lone client makes the thread wait for each of the two peers. The
    hundredth part on top is for the upkeep of a slow run. The access log is written when its buffer is full, which is after the test."""
    server = plain_server(HTTP.format(log="combined buffer=1m flush=1h", ssl="", server="", location=FORWARDED), origin=short_origin.port)
    client = server.connect()
    ask(client, WARM_UP, headers=BROWSER)
    with SystemCalls(server) as counted:
        ask(client, REQUESTS, headers=BROWSER)
    calls = counted.calls
    waits = calls.pop("epoll_wait", 0) + calls.pop("epoll_pwait", 0)
    received = calls.pop("recvfrom", 0)
    sent = calls.pop("sendto", 0) + calls.pop("sendmsg", 0)
    # The tracer may miss what is under way when it attaches.
    assert 1.99 * REQUESTS <= received <= 2.01 * REQUESTS, f"{received} receives for {REQUESTS} requests"
    assert 1.99 * REQUESTS <= sent <= 2.01 * REQUESTS, f"{sent} sends for {REQUESTS} requests"
    assert sum(calls.values()) <= 0.01 * REQUESTS, f"other calls than receive and send: {calls}"
    assert waits <= 2.1 * REQUESTS, f"{waits} waits for {REQUESTS} requests"
    assert short_origin.connections == 1


@pytest.mark.smoke
def test_an_idle_connection_costs_little_memory(plain_server, short_origin):
    """Descriptor, addresses, two small coroutine frames: nothing of the request that was served before."""
    def private_bytes() -> int:
        text = "".join(pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in server.workers())
        return sum(int(kib) * 1024 for kib in re.findall(r"^Private_\w+:\s+(\d+) kB", text, re.M))

    server = plain_server(HTTP.format(log="combined", ssl="", server="", location=""), origin=short_origin.port)
    connections = 800
    for _ in range(100):
        ask(server.connect(), 1)
    before = private_bytes()
    for _ in range(connections):
        ask(server.connect(), 1)
    each = (private_bytes() - before) / connections
    assert each < 2048, f"{each:.0f} bytes for each idle connection"
