"""Rewriting, maps, error pages and internal redirects: the same configuration under nginx and Gatehouse, equal answers."""

import json

import pytest

from harness.origin import reply
from harness.websocket import WebSocket, echo_origin

# Each server block is one subject; its requests stand beside it. An origin's path says what it answers: /status/404 a 404.
SUBJECTS: dict[str, tuple[str, list[object]]] = {
    "set": ("""
        set $greeting "hello $arg_name";
        set $empty "";
        location / { set $greeting "$greeting!"; return 200 "$greeting|$empty|$uri|$args"; }
        location /args { set $args "a=$arg_b&x=1"; return 200 "$args|$query_string|$arg_a|$is_args|$request_uri"; }
        location /noargs { set $args ""; return 200 "$args|$is_args|$request_uri"; }
        location /up { set $args "only=this"; proxy_pass http://127.0.0.1:@origin@; }
        location /unset { return 200 "[$later]"; }
        location /later { set $later 1; return 200 "[$later]"; }
    """, ["/?name=x", "/", "/args?b=2&c=3", "/noargs?x", "/up/a%20b?c=d", "/up/a//b/../c?z", "/unset", "/later"]),
    "server": ("""
        rewrite ^/old/(.*)$ /new/$1;
        rewrite ^/new/first$ /new/second last;
        rewrite ^/new/second$ /never;
        if ($arg_deny) { return 403; }
        if ($http_x_old ~* "^old(er)?-(?<kind>\\w+)$") { set $found $kind; }
        rewrite ^/break$ /broken break;
        rewrite ^/broken$ /twice;
        return_here_is_not_reached_marker;
        location / { return 200 "$uri?$args found=$found\\n"; }
        location /new { return 200 "new $uri?$args\\n"; }
    """.replace("return_here_is_not_reached_marker;", ""),
     ["/old/a?b=c", "/old/first", "/new/first", "/break", "/broken", "/x?deny=1", "/x?deny=0", ("/x", {"headers": [("X-Old", "OLDER-one")]}),
      ("/x", {"headers": [("X-Old", "nothing")]})]),
    "flags": ("""
        location /last { rewrite ^/last/(.*)$ /target/$1 last; return 500 "not reached"; }
        location /none { rewrite ^/none/(.*)$ /mid/$1; rewrite ^/mid/(.*)$ /target/$1?m=1; }
        location /stay { rewrite ^/stay/(.*)$ /target/$1 break; return 200 "not reached"; }
        location /stay2 { rewrite ^/stay2/(.*)$ /else/$1 break; proxy_pass http://127.0.0.1:@origin@/ignored/; }
        location /moved { rewrite ^/moved/(.*)$ /target/$1 redirect; }
        location /gone { rewrite ^/gone/(.*)$ /target/$1 permanent; }
        location /abs { rewrite ^/abs/(.*)$ https://other.example/$1?q=1; }
        location /scheme { rewrite ^/scheme/(.*)$ $scheme://x.example/$1? ; }
        location /cut { rewrite ^/cut/(.*)$ /target/$1?; }
        location /own { rewrite ^/own/(.*)$ /target/$1?a=1; }
        location /drop { rewrite ^/drop/(.*)$ /target/$1?a=1?; }
        location /q { rewrite ^/q/(.*)$ /target/?got=$1&end=1; }
        location /caseless { rewrite (?i)^/CASELESS/(.*)$ /target/$1; }
        location /breaks { rewrite ^ /target/x; break; rewrite ^ /target/y; }
        location /vars { rewrite ^/vars/(?<first>[^/]*)/(.*)$ /target/$2/$first/$host; }
        location /empty { rewrite ^/empty/(.*)$ $1; }
        location /target { return 200 "target $uri?$args $1\\n"; }
    """, [f"/{place}/{rest}" for place in ("last", "none", "stay2", "moved", "gone", "abs", "scheme", "cut", "own", "drop", "q", "caseless", "vars")
          for rest in ("a", "a/b?x=1&y=2", "a%20b%3fc?z", "%25%2b+;&=%C3%A9", "a%0d%0ab", "")] +
         ["/breaks", "/empty/", "/last", "/target/1"]),
    "proxy": ("""
        location / { proxy_pass http://127.0.0.1:@origin@; }
        location /uri/ { proxy_pass http://127.0.0.1:@origin@/base/; }
        location /last/ { rewrite ^/last/(.*)$ /uri/$1 last; }
        location /raw/ { rewrite ^/raw/(.*)$ /plain/$1 last; }
        location /brk/ { rewrite ^/brk/(.*)$ /b/$1 break; proxy_pass http://127.0.0.1:@origin@; }
        location /brkuri/ { rewrite ^/brkuri/(.*)$ /b/$1 break; proxy_pass http://127.0.0.1:@origin@/base/; }
        location /stop/ { rewrite ^/stop/(.*)$ /stop/b/$1; break; proxy_pass http://127.0.0.1:@origin@/base/; }
        location /var/ { proxy_pass http://127.0.0.1:@origin@$request_uri; }
        location /var2/ { rewrite ^/var2/(.*)$ /v/$1 break; proxy_pass http://127.0.0.1:@origin@$uri; }
        location /var3/ { set $peer 127.0.0.1:@origin@; rewrite ^/var3/(.*)$ /v/$1 break; proxy_pass http://$peer; }
        location ~ ^/re/(.*)$ { proxy_pass http://127.0.0.1:@origin@/x/$1$is_args$args; }
    """, [f"/{place}/{rest}" for place in ("uri", "last", "raw", "brk", "brkuri", "stop", "var3", "re", "p")
          for rest in ("a", "a?x=1", "a%20b?c", "%7Ea/%2e/b", "a%2fb", "a%3fb", "")] + ["/var/a%20b?c", "/var2/a?x=1"]),
    "if": ("""
        set $mobile 0;
        if ($http_user_agent ~* (iphone|android)) { set $mobile $1; }
        location / {
            if ($request_method = POST) { return 405; }
            if ($arg_a != 1) { add_header X-A "not one"; }
            if ($arg_b) { add_header X-B "b"; }
            if ($cookie_c !~ ^ok) { set $cookie bad; }
            if ($cookie_c !~* ^OK$) { set $exact no; }
            add_header X-Outer yes;
            return 200 "mobile=$mobile cookie=$cookie exact=$exact $1\\n";
        }
        location /pass {
            if ($arg_to = other) { proxy_pass http://127.0.0.1:@second@; }
            if ($arg_to = deny) { return 403; }
            proxy_pass http://127.0.0.1:@origin@;
        }
        location /prefix/ {
            if ($arg_x) { set $unused 1; }
            if ($arg_r) { rewrite ^/prefix/(.*)$ /moved/$1 last; }
            proxy_pass http://127.0.0.1:@origin@/base/;
        }
        location /moved/ { return 200 "moved $uri $args"; }
        location /file { if (-f @dir@/present$uri) { return 200 file; } if (!-e @dir@/present$uri) { return 200 absent; } return 200 other; }
        location /dir { if (-d @dir@) { return 200 dir; } return 200 none; }
        location /exec { if (-x /bin/sh) { return 200 exec; } return 200 no; }
    """, ["/", "/?a=1", "/?a=1&b=1", "/?a=2&b=1", "/?b=0", ("/", {"method": "POST", "body": b"x"}), ("/", {"headers": [("User-Agent", "an iPhone")]}),
          ("/", {"headers": [("Cookie", "c=okay")]}), ("/", {"headers": [("Cookie", "c=ok")]}), "/pass", "/pass?to=other", "/pass?to=deny", "/pass?h=1",
          "/prefix/a", "/prefix/a?x=1", "/prefix/a?r=1", "/file", "/file2", "/dir", "/exec"]),
    "cycle": ("""
        location /loop { rewrite ^/loop(.*)$ /loop/x$1 last; }
        location /nine { rewrite ^/nine/aaaaaaaaa(a*)$ /done last; rewrite ^/nine/(.*)$ /nine/a$1 last; }
        location /done { return 200 done; }
        location /ten { rewrite ^/ten/aaaaaaaaaa$ /done last; rewrite ^/ten/(.*)$ /ten/a$1 last; }
        location /eleven { rewrite ^/eleven/aaaaaaaaaaa$ /done last; rewrite ^/eleven/(.*)$ /eleven/a$1 last; }
        error_page 500 /oops;
        location /oops { return 200 oops; }
    """, ["/loop", "/nine/", "/ten/", "/eleven/", "/done"]),
    "map": ("""
        location / { return 200 "$by_host|$by_path|$group|$nested|$plain\\n"; }
        location /set { set $by_path kept; return 200 "$by_path\\n"; }
        location /twice { set $probe 1; set $first $steady$changing; set $probe 2; return 200 "$first $steady$changing\\n"; }
        location /captures { if ($uri ~ ^/captures/(.*)$) { return 200 "$1-$group-$1\\n"; } return 200 none; }
        location /pick { if ($blocked) { return 403; } return 200 allowed; }
        location /to { proxy_pass http://$pool; }
    """, ["/", "/a/b", "/A/B", "/x/longer", "/set", "/twice", "/captures/abc?v=item-7", "/captures", "/pick?who=bad", "/pick?who=BAD", "/pick?who=badly", "/pick?who=",
          "/to?p=1", "/to?p=2", "/?v=item-12", "/?v=ITEM-12", "/?v=", "/?p=2"] +
         [("/", {"host": host}) for host in ("example.com", "www.example.com", "a.b.example.com", "www.example.org", "www.x", "EXAMPLE.com", "unknown", "dot.example")]),
    "error_page": ("""
        error_page 404 /missing.html;
        error_page 403 =200 /denied;
        error_page 500 502 503 504 = @fallback;
        error_page 405 http://errors.example/$status?u=$uri;
        error_page 410 =301 http://errors.example/gone;
        error_page 418 =204 /empty;
        error_page 401 =402 /pay?from=$uri;
        location = /missing.html { return 200 "missing $uri $request_uri $request_method\\n"; }
        location /denied { return 200 "denied\\n"; }
        location /pay { return 404 "pay $uri $args\\n"; }
        location /empty { return 204; }
        location @fallback { return 200 "fallback $uri $args $request_method\\n"; }
        location /give/404 { return 404; }
        location /give/403 { return 403; }
        location /give/401 { return 401; }
        location /give/405 { return 405; }
        location /give/410 { return 410; }
        location /give/418 { return 418; }
        location /give/503 { return 503; }
        location /text { return 404 "own text"; }
        location /types/ { return 200 "typed"; }
        location /deny { deny all; }
        location /dead { proxy_pass http://127.0.0.1:@closed@; }
        location /passed { proxy_pass http://127.0.0.1:@origin@; }
        location /caught { proxy_intercept_errors on; proxy_pass http://127.0.0.1:@origin@; }
        location /own { error_page 404 =404 /own-page; return 404; }
        location = /own-page { return 200 "own page"; }
        location /inner { internal; return 200 "inner $uri"; }
        location /toinner { error_page 404 = /inner/x; return 404; }
        location /rewritten { rewrite ^ /inner/y last; }
        location /nested { error_page 404 /nested2; return 404; }
        location /nested2 { error_page 403 /denied; return 403; }
        location /noname { error_page 404 @nowhere; return 404; }
    """, ["/give/404", "/give/403", "/give/401", "/give/405", "/give/410", "/give/418", "/give/503?x=1", "/text", "/deny", "/dead?y", "/nothing-here/404",
          "/passed/status/404", "/caught/status/404", "/caught/status/503?q", "/caught/status/200", "/caught/status/302", "/own", "/inner/z", "/toinner", "/rewritten",
          "/nested", "/noname", "/missing.html", "/types/a.html", "/types/a.JPG", "/types/a", "/types/.html", "/types/a.txt", "/types/a.b.gif", "/types/a.", ("/give/404", {"method": "POST", "body": b"abc"}), ("/give/503", {"method": "POST", "body": b"abc"}),
          ("/give/404", {"method": "HEAD"}), ("/caught/status/404", {"method": "HEAD"}), ("/caught/status/404", {"method": "POST", "body": b"abc"})]),
    "recursive": ("""
        recursive_error_pages on;
        error_page 404 /one;
        error_page 403 /two;
        error_page 402 = /three;
        error_page 500 /round;
        location /one { return 403; }
        location /two { return 402; }
        location /three { return 200 "three\\n"; }
        location /round { return 500; }
    """.replace("location /one", "location /start { return 404; } location /begin { return 500; } location /one"), ["/start", "/begin", "/two"]),
    "fallback": ("""
        location / { proxy_pass http://127.0.0.1:@closed@; error_page 502 = @second; }
        location @second { proxy_pass http://127.0.0.1:@second@; proxy_set_header X-Way fallback; }
        location /kept/ { proxy_pass http://127.0.0.1:@closed@; error_page 502 @second; }
        location /page/ { proxy_pass http://127.0.0.1:@closed@; error_page 502 /error.html; }
        location = /error.html { proxy_pass http://127.0.0.1:@second@/pages/; }
        location /big/ { client_max_body_size 10; error_page 413 /error.html; proxy_pass http://127.0.0.1:@origin@; }
    """, ["/a%20b?c=d", ("/x", {"method": "POST", "body": b"sent again"}), "/kept/x", "/page/y?z=1", ("/page/p", {"method": "PUT", "body": b"put"}),
          ("/big/", {"method": "POST", "body": b"x" * 20})]),
}

HTTP = """
map $host $by_host { hostnames; default none; example.com exact; *.example.com sub; .example.org both; www.* www; ~^(?<left>\\w+)\\.example$ "re-$left"; }
map $uri $by_path { default other; /a/b lower; ~^/x/(.*)$ "tail:$1"; }
map $arg_v $group { "~^item-(\\d+)$" "number $1"; "~*^ITEM-(\\d+)$" "any case $1"; "" nothing; default no; }
map "$by_host-$by_path" $nested { "none-other" plain; default "both $by_host $by_path"; }
map $arg_p $plain { 2 two; }
map $probe $steady { 1 one; 2 two; default zero; }
map $probe $changing { volatile; 1 one; 2 two; default zero; }
map $arg_who $blocked { default 0; bad 1; }
map $arg_p $pool { default 127.0.0.1:@origin@; 2 127.0.0.1:@second@; }
proxy_http_version 1.1;
proxy_set_header Connection "";
absolute_redirect off;
"""


def configuration() -> str:
    servers = (f"server {{ listen 127.0.0.1:@{name}@; server_name _; {body} }}" for name, (body, _) in SUBJECTS.items())
    return HTTP + "\n".join(servers)


def answer(request):
    """Tells the origin's view of a request; /status/NNN anywhere in its path chooses the status."""
    path = request.target.split("?")[0]
    status = int(path.split("/status/")[1][:3]) if "/status/" in path else 200
    told = {"line": request.line, "body": request.body.decode(), "way": request.header("x-way"), "h": request.header("x-h")}
    headers = [("X-Origin-Status", str(status))] + ([("Location", "/elsewhere")] if status == 302 else [])
    return reply(status, json.dumps(told).encode(), headers)


# Where Gatehouse differs on purpose.
EXPECTED_DIFFERENCES: dict[tuple[str, str], str] = {
    ("map", "/captures/abc?v=item-7"): "a string is evaluated from left to right; nginx 1.22 evaluates it twice, so a map's groups reach back",
}


def seen(response) -> tuple:
    """What must be equal of a response: nginx names itself in its own pages."""
    body = response.body.decode()
    page = "<hr><center>" in body
    headers = {name.lower(): value for name, value in response.headers if name.lower() in ("location", "content-type", "x-a", "x-b", "x-outer", "x-origin-status", "www-authenticate")}
    return response.status, headers, body.split("<hr>")[0].split("</h1>")[0] if page else body


@pytest.fixture(scope="module")
def both(make_shared_origin, shared_gatehouse, shared_nginx):
    origin, second = make_shared_origin(), make_shared_origin(name="second")
    origin.answer = second.answer = answer
    text = configuration()
    ports = {"origin": origin.port, "second": second.port}
    return shared_gatehouse(text, **ports, files={"present/file": ""}), shared_nginx(text, **ports, files={"present/file": ""})


@pytest.mark.parametrize("subject", SUBJECTS)
def test_answers_are_nginx_s(both, subject):
    different = []
    for asked in SUBJECTS[subject][1]:
        target, options = asked if isinstance(asked, tuple) else (asked, {})
        ours, theirs = (seen(server.request(target, port=subject, **options)) for server in both)
        if ours != theirs and (subject, target) not in EXPECTED_DIFFERENCES:
            different.append(f"{options} {target}\n  nginx     {theirs}\n  Gatehouse {ours}")
    assert not different, "\n".join(different)


WEBSOCKETS = """
map $http_upgrade $connection_upgrade { default upgrade; '' close; }
server {
    listen 127.0.0.1:@http@;
    location / {
        proxy_pass http://127.0.0.1:@origin@;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
    }
}
"""


def test_the_connection_upgrade_map_carries_websockets(gatehouse, make_origin):
    socket = WebSocket(gatehouse(WEBSOCKETS, origin=make_origin(echo_origin).port).connect())
    assert socket.response.status == 101
    socket.echo(b"through a map")


def test_the_connection_upgrade_map_closes_plain_requests(gatehouse, origin):
    assert gatehouse(WEBSOCKETS, origin=origin.port).request("/").status == 200
    assert origin.requests[-1].header("connection") == "close"
    assert origin.requests[-1].header("upgrade") is None


def test_upstream_variables_tell_both_groups(gatehouse, origin):
    server = gatehouse("""
        log_format ways '$upstream_addr|$upstream_status|$upstream_http_x_origin';
        server {
            listen 127.0.0.1:@http@; access_log @dir@/ways.log ways;
            location / { proxy_pass http://127.0.0.1:@closed@; error_page 502 = @second; }
            location @second { proxy_pass http://127.0.0.1:@origin@; }
        }""", origin=origin.port)
    assert server.request("/").status == 200
    assert server._wait_for("ways.log", rf"127.0.0.1:{server.port('closed')} : 127.0.0.1:{origin.port}\|502 : 200\|origin", 10, 1)


def test_line_ends_never_reach_a_response_head(gatehouse):
    """$uri is decoded: what a client wrote as %0d%0a must not end a field."""
    server = gatehouse("""server {
        listen 127.0.0.1:@http@; absolute_redirect off;
        location /return { return 302 $uri; }
        location /header { add_header X-Uri $uri; return 200 ok; }
        location /rewrite { rewrite ^ http://other.example$uri permanent; }
    }""")
    for target in ("/return%0d%0aSet-Cookie:a=b", "/header%0d%0aSet-Cookie:a=b", "/rewrite%0d%0aSet-Cookie:a=b"):
        response = server.request(target)
        assert response.header("set-cookie") is None
        assert response.header("x-uri") is None
    assert server.request("/return%0d%0ax").header("location") == "/return%0D%0Ax"


def test_the_waf_sees_what_the_client_sent(gatehouse, origin):
    server = gatehouse("""
        modsecurity on;
        modsecurity_rules 'SecRuleEngine On
            SecRule REQUEST_URI "@contains evil" "id:1,phase:1,deny,status:403"
            SecRule ARGS:q "@contains evil" "id:2,phase:1,deny,status:406"';
        server {
            listen 127.0.0.1:@http@;
            error_page 403 /refused;
            error_page 406 /refused-by-origin;
            location / { proxy_pass http://127.0.0.1:@origin@; }
            location /clean { rewrite ^ /evil last; }
            location /hide { rewrite ^ /harmless? last; }
            location /off { modsecurity off; proxy_pass http://127.0.0.1:@origin@; }
            location /into-off { rewrite ^ /off last; }
            location /early { return 200 early; }
            location = /refused { return 200 "refused\\n"; }
            location = /refused-by-origin { proxy_pass http://127.0.0.1:@origin@; }
        }""", origin=origin.port)
    assert server.request("/clean").status == 200  # the rewritten URI is ours, not the client's
    assert origin.requests[-1].target == "/evil"
    refused = server.request("/evil")
    assert (refused.status, refused.body) == (403, b"refused\n")
    assert server.request("/hide?q=evil").status == 403
    assert server.request("/early?q=evil").status == 403
    assert server.request("/off?q=evil").status == 200
    assert server.request("/into-off?q=evil").status == 403  # no rewrite leads around the WAF
    assert server.request("/into-off?q=good").status == 200
    asked = len(origin.requests)
    assert server.request("/x", method="POST", body=b"q=evil", headers=[("Content-Type", "application/x-www-form-urlencoded")]).status == 200
    assert len(origin.requests) == asked + 1
