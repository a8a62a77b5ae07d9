"""`gatehouse -t --explain URL`: the answer is found by the phases that would serve the URL."""

import os
import re
import subprocess

import pytest

SERVERS = """
upstream backend {{ server 127.0.0.1:9001 weight=2; server 127.0.0.1:9002 backup; }}
map $arg_tenant $tenant {{ default none; a one; }}
server {{ listen 127.0.0.1:@http@; return 404; }}
server {{ listen 127.0.0.1:@http@; server_name www.example.com *.example.org;
  rewrite ^/old/(.*)$ /new/$1;
  location / {{ proxy_pass http://backend; }}
  location /api/ {{ proxy_pass http://backend/v1/; proxy_read_timeout 5s; client_max_body_size 1g; }}
  location ~ \\.php$ {{ return 410 "gone"; }}
  location /new/ {{ proxy_pass http://127.0.0.1:9003; }}
  location /files/ {{ root /srv/www; }}
  location /tenant {{ set $target http://$tenant.internal:80; resolver 127.0.0.1; proxy_pass $target; }}
  location /inside {{ internal; return 200 x; }}
  location /away {{ return 301 https://www.example.com$request_uri; }}
  location /guarded/ {{ modsecurity on; modsecurity_rules 'SecRuleEngine On
    SecRule ARGS "@contains x" "id:1,phase:2,deny"'; proxy_pass http://backend; }}
}}
"""


@pytest.fixture
def explain(gatehouse):
    """explain(url): what is printed."""
    def make(url: str) -> str:
        server = gatehouse(SERVERS.format(), start=False)
        server.configure()
        done = subprocess.run(server.command("-t", "--explain", url.replace("PORT", str(server.port()))), capture_output=True, text=True, timeout=60,
                              check=False, env={**os.environ, "ASAN_OPTIONS": "detect_leaks=1"})
        assert done.returncode == 0, done.stderr
        return done.stdout
    return make


def facts_of(text: str) -> dict[str, str]:
    """The named lines; those without a name go on with the one before them."""
    facts, name = {}, ""
    head, _, settings = text.partition("settings that are not the default\n")
    for line in head.splitlines():
        match = re.fullmatch(r"(\w*)\s+(.*)", line)
        assert match, line
        facts[match[1] or name] = match[2] if match[1] else facts[name] + "; " + match[2]
        name = match[1] or name
    return {**facts, "settings": settings}


@pytest.mark.parametrize(("url", "expected"), [
    ("http://www.example.com:PORT/", {"server": r"www\.example\.com  \(.*:\d+\)", "location": r"/  \(.*", "answer": r"proxy_pass http://backend/; 127.0.0.1:9001 weight=2; 127.0.0.1:9002 weight=1 backup", "WAF": "off"}),
    ("http://www.example.com:PORT/api/x?y=1", {"location": "/api/ .*", "answer": "proxy_pass http://backend/v1/x\\?y=1.*", "settings": r"(?s).*proxy_read_timeout = 5s.*"}),
    ("http://a.example.org:PORT/x.php", {"server": r"www\.example\.com.*", "location": r"~ \\.php\$ .*", "answer": "410 Gone"}),
    ("http://www.example.com:PORT/old/page", {"rewritten": "/new/page", "location": "/new/ .*", "answer": "proxy_pass http://127.0.0.1:9003/new/page", "upstream": "127.0.0.1:9003 weight=1"}),
    ("http://www.example.com:PORT/files/a.txt", {"answer": "file /srv/www/files/a.txt"}),
    ("http://www.example.com:PORT/tenant?tenant=a", {"answer": "proxy_pass http://one.internal:80, by variables"}),
    ("http://www.example.com:PORT/inside", {"answer": "404 Not Found: location is internal"}),
    ("http://www.example.com:PORT/away?x", {"answer": r"301 Moved Permanently to https://www.example.com/away\?x"}),
    ("http://www.example.com:PORT/guarded/x", {"WAF": r"1 rules; fast path on; overlay none"}),
    ("http://other.example:PORT/", {"server": "without a name, the default of its listener .*", "answer": "404 Not Found"}),
    ("www.example.com:PORT", {"location": "/ .*"}),
])
def test_what_a_url_meets(explain, url, expected):
    text = explain(url)
    facts = facts_of(text)
    for name, pattern in expected.items():
        assert re.fullmatch(pattern, facts.get(name, "")), f"{name}: {facts.get(name)!r} is not {pattern!r} in\n{text}"


@pytest.mark.parametrize(("url", "told"), [
    ("http://www.example.com:1/", "nothing listens for http on port 1; listeners: 127.0.0.1:"),
    ("https://www.example.com:PORT/", "nothing listens for https on port"),
    ("http://a..example.com%2f:PORT/", "refused"),
    ("http://:PORT/", "is not a URL"),
    ("http:///", "is not a URL"),
    ("http://www.example.com:99999/", "is not a URL"),
    ("http://www.example.com:PORT/a b", "answer      refused: "),
])
def test_what_can_not_be_explained(explain, url, told):
    assert told in explain(url)
