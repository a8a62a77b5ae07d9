"""The same configuration in nginx with its ModSecurity module and in Gatehouse: equal statuses and rule ids, request by request.

The rules are those of an ordinary Debian set-up: the module's own modsecurity.conf, and the package modsecurity-crs.
"""

import json
import re
import time
from urllib.parse import quote, urlencode

import pytest

CONFIGURATION = """
modsecurity on;
modsecurity_rules 'SecRuleEngine On';
modsecurity_rules_file /etc/nginx/modsecurity.conf;
modsecurity_rules '
    SecAuditLog @dir@/audit.log
    Include /etc/modsecurity/crs/crs-setup.conf
    Include /usr/share/modsecurity-crs/rules/*.conf
';
modsecurity_transaction_id $http_x_test_id;
client_max_body_size 1m;
upstream backend { server 127.0.0.1:@origin@; keepalive 4; }
server {
    listen 127.0.0.1:@http@ default_server;
    server_name www.example.com;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    add_header X-Site main;
    location / { proxy_pass http://backend; }
    location /api/ { proxy_pass http://backend/v1/; modsecurity_rules 'SecRuleRemoveById 942100'; }
    location /plain/ { modsecurity off; proxy_pass http://backend/; }
    location = /moved { return 301 /new?from=$arg_x; }
    location ~ \\.(css|js)$ { proxy_pass http://backend; }
    location ^~ /static/ { proxy_pass http://backend; }
    location /detect/ { modsecurity_rules 'SecRuleEngine DetectionOnly'; proxy_pass http://backend; }
    location /denied/ { deny all; }
}
server { listen 127.0.0.1:@http@; server_name *.other.example; return 200 "other $host"; }
"""

PAYLOADS = [
    "1' or '1'='1", "1 UNION SELECT username, password FROM users--", "'; DROP TABLE users;--", "1' AND SLEEP(5)#", "admin'--",
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "javascript:alert(1)", "<svg/onload=alert(1)>", "\"><iframe src=x>",
    "../../../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/shadow", "php://filter/convert.base64-encode/resource=index.php",
    ";cat /etc/passwd", "| ls -la", "`id`", "$(whoami)", "&& ping -c 1 localhost", "() { :; }; echo x",
    "<?php system('id'); ?>", "${jndi:ldap://x/a}", "O:8:\"stdClass\":0:{}", "require('child_process').exec('id')",
    "http://169.254.169.254/latest/meta-data/", "%0d%0aSet-Cookie: a=b", "a\r\nX: y", "{{7*7}}", "() OR 1=1", "x' OR 1=1 LIMIT 1 --",
    "plain text", "O'Reilly & Sons", "caf\u00e9", "100% sure", "a=b&c=d", "<3 you", "C:\\Users\\me", "SELECT a good book", "1-1=0", "user@example.com",
]
FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")
BROWSER = [("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)"), ("Accept", "text/html,*/*;q=0.8"), ("Accept-Language", "en")]


def multipart(name: str, content: str) -> dict:
    body = f'--b42\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{content}\r\n--b42--\r\n'
    return {"method": "POST", "body": body.encode(), "headers": [*BROWSER, ("Content-Type", "multipart/form-data; boundary=b42")]}


def requests() -> list[tuple[str, dict]]:
    """(target, options of Server.request) of every request of the comparison."""
    found = [(target, {"headers": BROWSER}) for target in (
        "/", "/index.html", "/a/b/c?x=1&y=2", "/moved?x=1", "/style.css", "/static/app.js", "/denied/x", "/plain/?q=1'%20or%20'1'='1",
        "/api/items?q=1'%20or%20'1'='1", "/api/items?q=%3Cscript%3Ealert(1)%3C/script%3E", "/detect/?q=1'%20or%20'1'='1", "/.git/config",
        "/.env", "/wp-config.php.bak", "/a%20b", "/%7Euser/", "/a/../b", "//double//slash", "/?a=1&a=2&a=3", "/?=empty", "/?%00", "/index.php?x[]=1",
        "/search?q=", "/x.php?cmd=ls", "/?q=" + "a" * 500, "/?" + "&".join(f"p{i}={i}" for i in range(100)))]
    for payload in PAYLOADS:
        found.append((f"/?q={quote(payload)}", {"headers": BROWSER}))
        found.append(("/form", {"method": "POST", "body": urlencode({"q": payload}).encode(), "headers": [*BROWSER, FORM]}))
        found.append(("/json", {"method": "POST", "body": json.dumps({"q": payload}).encode(), "headers": [*BROWSER, JSON]}))
        found.append(("/upload", multipart("q", payload)))
        if payload.isprintable() and payload.isascii():
            found.append(("/cookie", {"headers": [*BROWSER, ("Cookie", f"session={quote(payload, safe=' ')}")]}))
            found.append(("/referer", {"headers": [*BROWSER, ("Referer", f"http://www.example.com/{payload}")]}))
    found += [
        ("/", {"headers": []}), ("/", {"headers": [("User-Agent", "sqlmap/1.0"), ("Accept", "*/*")]}), ("/", {"method": "PUT", "body": b"x", "headers": BROWSER}),
        ("/", {"method": "OPTIONS", "headers": BROWSER}), ("/", {"method": "DELETE", "headers": BROWSER}), ("/", {"method": "HEAD", "headers": BROWSER}),
        ("/", {"headers": BROWSER, "host": "127.0.0.1"}), ("/", {"headers": BROWSER, "host": "x.other.example"}),
        ("/", {"headers": [*BROWSER, ("Range", "bytes=0-1,2-3,4-5,6-7,8-9,10-11")]}), ("/", {"headers": [*BROWSER, ("Content-Type", "text/evil")], "method": "POST", "body": b"x"}),
        ("/", {"method": "POST", "body": b"{broken", "headers": [*BROWSER, JSON]}), ("/", {"method": "POST", "body": b"x" * 2_000_000, "headers": [*BROWSER, FORM]}),
        ("/", {"method": "POST", "body": b"<a><b>1</b></a>", "headers": [*BROWSER, ("Content-Type", "text/xml")]}),
        ("/", {"method": "POST", "body": b"<a><b>1' or '1'='1</b></a>", "headers": [*BROWSER, ("Content-Type", "application/xml")]}),
    ]
    return found


def observe(server, target: str, options: dict, number: int) -> tuple[int, str]:
    """Status of one request, and the id to find its log lines by."""
    identity = f"parity-{server.flavour}-{number:05}"
    options = {**options, "headers": [*options.get("headers", []), ("X-Test-Id", identity)]}
    status = server.request(target, **{"host": "www.example.com", **options}).status
    return status, identity


def rule_ids(log: str) -> dict[str, list[str]]:
    """Rule ids by transaction."""
    found: dict[str, list[str]] = {}
    for line in log.splitlines():
        if match := re.search(r'\[unique_id "([^"]+)"\]', line):
            found.setdefault(match[1], []).extend(re.findall(r'\[id "(\d+)"\]', line))
    return found


# Where the specification asks for more than nginx does, said here with the reason; anything else that differs fails.
EXPECTED_DIFFERENCES = {
    "/denied/x": "access rules come before inspection, so that a refusal costs none",
}


@pytest.mark.limit(240)
def test_statuses_and_rule_ids_are_equal(gatehouse, nginx, origin):
    ours, theirs = gatehouse(CONFIGURATION, origin=origin.port), nginx(CONFIGURATION, origin=origin.port)
    asked = requests()
    assert len(asked) > 200
    seen = {}
    for server in (theirs, ours):
        for number, (target, options) in enumerate(asked):
            seen[server, number] = observe(server, target, options, number)
    time.sleep(0.5)  # rules of the logging phase run after the answer
    logged = {server: rule_ids(server.error_log()) for server in (ours, theirs)}
    different = []
    for number, (target, options) in enumerate(asked):
        pair = [(seen[server, number][0], sorted(logged[server].get(seen[server, number][1], []))) for server in (theirs, ours)]
        if pair[0] != pair[1] and target not in EXPECTED_DIFFERENCES:
            different.append(f"{options.get('method', 'GET')} {target[:80]} {options.get('body', b'')[:80]!r}: nginx {pair[0]}, Gatehouse {pair[1]}")
    assert not different, "\n".join(different)
    assert sum(seen[ours, number][0] == 403 for number in range(len(asked))) > 60
    assert sum(bool(ids) for ids in logged[ours].values()) > 60


def test_what_reaches_the_origin_is_equal(gatehouse, nginx, make_origin):
    """Request line, headers and body arrive alike, but for the identity of the connection."""
    origins = [make_origin(), make_origin()]
    ours = gatehouse(CONFIGURATION, origin=origins[0].port)
    theirs = nginx(CONFIGURATION, origin=origins[1].port)
    for target, options in [("/", {}), ("/api/a/b?c=d", {}), ("/plain/x%20y?z", {}), ("/a%2fb//c", {}), ("/form", {"method": "POST", "body": b"a=b", "headers": [FORM]}),
                            ("/h", {"headers": [*BROWSER, ("X-One", "1"), ("X-Two", "2"), ("Cookie", "a=b"), ("Accept-Encoding", "gzip")]})]:
        for server in (ours, theirs):
            assert server.request(target, host="www.example.com", **options).status == 200, (server.flavour, target)
        mine, reference = origins[0].requests[-1], origins[1].requests[-1]
        assert (mine.line, mine.body) == (reference.line, reference.body), target
        assert sorted((name.lower(), value) for name, value in mine.headers) == sorted((name.lower(), value) for name, value in reference.headers), target
