"""Locations, rewriting, conditions, maps and redirects as in nginx."""

import pytest

from harness.side_by_side import answered, case, get, run

CASES = [
    case("return_forms", """
server { listen 127.0.0.1:@http@; server_name www.example.com;
  location = /text { return 200 "text $arg_x $uri\\n"; }
  location = /bare { return 204; }
  location = /moved { return 301 /new?from=$arg_x; }
  location = /found { return http://other.example/x; }
  location = /absolute { return 302 https://$host$request_uri; }
  location = /teapot { return 418; }
  location = /error { return 503 "come back\\n"; }
  location = /gone { return 410; }
  location = /perm { return 308 /there; }
  location = /temp { return 307 /there; }
  location = /json { default_type application/json; return 200 '{"a":1}'; }
  location = /page.html { return 200 "by extension\\n"; }
}""", "/text?x=1", "/bare", "/moved?x=a%20b", "/found", "/absolute?q=1", get("/teapot", differs="nginx has no phrase and no page for 418"), "/error", "/gone", "/perm", "/temp", "/json", "/page.html",
         get("/text", method="HEAD"), get("/json", method="POST", body=b"x")),
    case("location_kinds", """
server { listen 127.0.0.1:@http@;
  location / { return 200 "root\\n"; }
  location = / { return 200 "exact root\\n"; }
  location /docs/ { return 200 "docs\\n"; }
  location ^~ /images/ { return 200 "images, no regex\\n"; }
  location ~* \\.(gif|jpg)$ { return 200 "picture\\n"; }
  location ~ \\.GIF$ { return 200 "upper\\n"; }
  location /docs/api/ { return 200 "api\\n"; }
  location = /docs/api/exact { return 200 "exact\\n"; }
}""", "/", "/x", "/docs/", "/docs", "/docs/x.gif", "/images/x.gif", "/x.GIF", "/x.jpg", "/docs/api/", "/docs/api/exact", "/docs/api/exact/",
         "/docs/../images/a.jpg", "/%64ocs/", "//docs//api/"),
    case("nested_locations", """
server { listen 127.0.0.1:@http@;
  location /a/ { add_header X-Level one;
    location /a/b/ { return 200 "b\\n"; }
    location ~ /a/.*\\.php$ { return 200 "php\\n"; }
    return 200 "a\\n"; }
  location ~ \\.php$ { return 200 "outer php\\n"; }
}""", "/a/", "/a/b/", "/a/b/c.php", "/a/x.php", "/x.php", "/a/b"),
    case("regex_captures", """
server { listen 127.0.0.1:@http@;
  location ~ ^/u/(?<user>[^/]+)/(\\d+)$ { return 200 "user=$user id=$2 one=$1\\n"; }
  location ~ ^/two/(.)(.)(.)$ { return 200 "$3$2$1 $4.\\n"; }
  location / { return 200 "none $1\\n"; }
}""", "/u/alice/42", "/u/al%20ice/7", "/two/abc", "/two/ab", "/x"),
    case("rewrite_flags", """
server { listen 127.0.0.1:@http@;
  location / { return 200 "final $uri?$args\\n"; }
  location /last/ { rewrite ^/last/(.*)$ /$1 last; }
  location /break/ { rewrite ^/break/(.*)$ /x/$1 break; return 200 "broke $uri\\n"; }
  location /redirect/ { rewrite ^/redirect/(.*)$ /to/$1 redirect; }
  location /permanent/ { rewrite ^/permanent/(.*)$ /to/$1 permanent; }
  location /noargs/ { rewrite ^/noargs/(.*)$ /$1? last; }
  location /newargs/ { rewrite ^/newargs/(.*)$ /$1?p=$1 last; }
  location /absolute/ { rewrite ^/absolute/(.*)$ http://other.example/$1; }
  location /chain/ { rewrite ^/chain/(.*)$ /step/$1; rewrite ^/step/(.*)$ /done/$1; }
  location /cycle/ { rewrite ^/cycle/(.*)$ /cycle/x$1 last; }
}""", "/last/a?b=c", "/break/a?b=c", "/redirect/a?b=c", "/permanent/a%20b?c", "/noargs/a?b=c", "/newargs/v?b=c", "/absolute/p?q", "/chain/x", "/cycle/x",
         "/redirect/a%2fb", "/last/%D0%B0", "/redirect/%D0%B0"),
    case("server_rewrite", """
server { listen 127.0.0.1:@http@;
  rewrite ^/old/(.*)$ /new/$1;
  if ($arg_stop) { return 403; }
  if ($http_x_break) { rewrite ^ /broken break; }
  set $a "$uri-set";
  location /new/ { return 200 "new $uri $a\\n"; }
  location / { return 200 "root $uri $a\\n"; }
}""", "/old/x", "/new/y", "/z?stop=1", "/z?stop=0", "/z?stop=", get("/q", headers={"X-Break": "1"})),
    case("if_conditions", """
server { listen 127.0.0.1:@http@;
  location /eq { if ($arg_a = "1") { return 200 "equal\\n"; } return 200 "other\\n"; }
  location /ne { if ($arg_a != 1) { return 200 "differs\\n"; } return 200 "same\\n"; }
  location /re { if ($arg_a ~ ^(x+)y$) { return 200 "match $1\\n"; } return 200 "no\\n"; }
  location /ci { if ($arg_a ~* HELLO) { return 200 "ci\\n"; } return 200 "no\\n"; }
  location /nr { if ($arg_a !~ \\d) { return 200 "no digit\\n"; } return 200 "digit\\n"; }
  location /method { if ($request_method = POST) { return 405; } return 200 "fine\\n"; }
  location /cookie { if ($http_cookie ~* "id=([^;]+)(?:;|$)") { set $id $1; } return 200 "id=$id\\n"; }
  location /file { if (-f @dir@/present) { return 200 "file\\n"; } return 404; }
  location /dir { if (!-d @dir@/absent) { return 200 "no dir\\n"; } return 404; }
  location /exists { if (-e @dir@/present) { return 200 "exists\\n"; } return 404; }
}""", "/eq?a=1", "/eq?a=2", "/ne?a=1", "/ne", "/re?a=xxy", "/re?a=y", "/ci?a=say-hello", "/nr?a=x", "/nr?a=1", "/method", get("/method", method="POST", body=b""),
         get("/cookie", headers={"Cookie": "a=b; id=77; c=d"}), "/cookie", "/file", "/dir", "/exists", files={"present": "x"}),
    case("if_in_location_settings", """
server { listen 127.0.0.1:@http@;
  location / { add_header X-Place outer; proxy_pass http://127.0.0.1:@origin@;
    if ($arg_x = 1) { add_header X-Place inner; }
    if ($arg_x = 2) { proxy_pass http://127.0.0.1:@origin@; add_header X-Place two; } }
}""", "/a", "/a?x=1", "/a?x=2"),
    case("map_forms", """
map $arg_a $out { default fallback; one 1; "two words" 2; ~^re(?<rest>.*)$ "regex $rest"; ~*^CI ci; "" empty; \\default literal; }
map $host $site { hostnames; default none; .example.com example; www.example.com exact; *.wild.org wild; mail.* mail; }
map $arg_b $inner { default $out; x $uri; }
map "$arg_c:$arg_d" $pair { default "no"; "1:2" "yes"; ~^(\\d):(\\d)$ $2$1; }
server { listen 127.0.0.1:@http@ default_server; return 200 "$out|$site|$inner|$pair\\n"; }
""", "/?a=one", "/?a=two%20words", "/?a=two words".replace(" ", "%20"), "/?a=retail", "/?a=cia", "/", "/?a=default", "/?a=nothing&b=x", "/?c=1&d=2", "/?c=3&d=4",
         get("/", host="www.example.com"), get("/", host="sub.example.com"), get("/", host="example.com"), get("/", host="a.wild.org"), get("/", host="mail.net"),
         get("/", host="wild.org")),
    case("set_and_scope", """
server { listen 127.0.0.1:@http@;
  set $one "1"; set $two "${one}2"; set $args_copy $args;
  location / { set $two "$two-3"; return 200 "$one $two $args_copy\\n"; }
  location /args { set $args "x=9&$args"; return 200 "$args $query_string $is_args $arg_x\\n"; }
}""", "/?q=1", "/args?q=1", "/args"),
    case("named_and_error_page", """
server { listen 127.0.0.1:@http@;
  error_page 404 /missing.html; error_page 403 = @denied; error_page 500 502 =200 /fixed; error_page 410 http://other.example/gone;
  error_page 418 =404 @denied;
  location = /missing.html { internal; return 404 "custom missing\\n"; }
  location @denied { return 200 "named $uri\\n"; }
  location = /fixed { return 200 "fixed $uri\\n"; }
  location /none { return 404; }
  location /deny { return 403; }
  location /boom { return 500; }
  location /gone { return 410; }
  location /tea { return 418; }
  location /internal { internal; return 200 "secret\\n"; }
}""", "/none", "/deny", "/boom", "/gone", "/tea", "/internal", "/missing.html", get("/deny", method="POST", body=b"a"), get("/deny", method="HEAD")),
    case("error_pages_without_content", """
server { listen 127.0.0.1:@http@; default_type text/x-own;
  location = /204 { return 204; }
  location = /200 { return 200; }
  location = /text { return 200 "text"; }
  location = /500 { return 500 "no"; }
  location = /gif { empty_gif; }
  location /to204 { error_page 410 /204; return 410; }
  location /to200 { error_page 410 /200; return 410; }
  location /to500 { error_page 410 /500; return 410; }
  location /togif { error_page 410 /gif; return 410; }
  location /forced200 { error_page 410 =200 /204; return 410; }
  location /forced204 { error_page 410 =204 /text; return 410; }
  location /own { error_page 410 = /204; return 410; }
}""", "/204", "/200", "/to204", "/to200", "/to500", "/togif", "/forced200", "/forced204", "/own", get("/to204", method="HEAD"),
         get("/forced204", method="HEAD")),
    case("intercepted_errors", """
server { listen 127.0.0.1:@http@;
  location / { proxy_pass http://127.0.0.1:@origin@; proxy_intercept_errors on; error_page 404 = /replacement; error_page 503 /sorry; error_page 502 =503 /sorry; }
  location /plain { proxy_pass http://127.0.0.1:@origin@; error_page 404 /sorry; }
  location = /replacement { return 200 "replaced\\n"; }
  location = /sorry { return 200 "sorry\\n"; }
}""", answered("/a", 404, "origin 404"), answered("/a", 503, "origin 503"), answered("/a", 502, "origin 502"), answered("/a", 200, "fine"),
         answered("/plain", 404, "origin 404 stays"), answered("/a", 401, "", {"WWW-Authenticate": "Basic realm=x"})),
    case("recursive_error_pages", """
server { listen 127.0.0.1:@http@;
  location /on { recursive_error_pages on; error_page 404 /second; return 404; }
  location /off { error_page 404 /second; return 404; }
  location /second { recursive_error_pages on; error_page 403 /third; return 403; }
  location /third { return 200 "third\\n"; }
}""", "/on", "/off"),
    case("redirect_names", """
server { listen 127.0.0.1:@http@; server_name first.example www.example.com;
  location /rel { return 301 /x; }
  location /off { absolute_redirect off; return 301 /x; }
  location /port { port_in_redirect off; return 301 /x; }
  location /name { server_name_in_redirect on; return 301 /x; }
  location /slash/ { proxy_pass http://127.0.0.1:@origin@; }
}""", "/rel", "/off", "/port", "/name", "/slash", "/slash?a=b", get("/rel", host="first.example"), get("/rel", host="unknown.example")),
    case("server_names", """
server { listen 127.0.0.1:@http@; server_name a.example; return 200 "exact\\n"; }
server { listen 127.0.0.1:@http@; server_name *.example; return 200 "leading\\n"; }
server { listen 127.0.0.1:@http@; server_name mail.*; return 200 "trailing\\n"; }
server { listen 127.0.0.1:@http@; server_name ~^(?<sub>\\w+)\\.regex\\.org$; return 200 "regex $sub\\n"; }
server { listen 127.0.0.1:@http@; server_name .dot.com; return 200 "dot $server_name\\n"; }
server { listen 127.0.0.1:@http@ default_server; server_name _; return 200 "default $host\\n"; }
""", *[get("/", host=host) for host in ("a.example", "A.EXAMPLE", "b.example", "x.y.example", "mail.any", "foo.regex.org", "dot.com", "www.dot.com", "unknown",
                                        "a.example.", "a.example:8080", "example", "127.0.0.1")]),
    case("merge_slashes_off", """
server { listen 127.0.0.1:@http@; merge_slashes off;
  location /a/b { return 200 "one $uri\\n"; } location //a { return 200 "two $uri\\n"; } location / { return 200 "root $uri\\n"; } }
""", "/a/b", "//a/b", "/a//b", "/%2fa"),
    case("uri_normalisation", """
server { listen 127.0.0.1:@http@; location / { return 200 "$uri|$request_uri\\n"; } }
""", "/a/./b", "/a/../b", "/a/b/..", "/a/b/.", "/a%2e%2e/b", "/%2e%2e/b", "/a%20b?c%20d", "/a//b///c", "/a/%2e/b", "/?x", "/%41%62", "/a+b", "/a;b=c/d", "/%7E~"),
    case("absolute_form", """
server { listen 127.0.0.1:@http@; server_name www.example.com; location / { return 200 "www $host $uri $http_host\\n"; } }
server { listen 127.0.0.1:@http@; server_name other.example; location / { return 200 "other $host $uri\\n"; } }
""", get("http://other.example/x?y"), get("http://www.example.com"), get("http://other.example", host="www.example.com")),
]


@pytest.mark.parametrize("case_", CASES, ids=str)
def test_side_by_side(case_, gatehouse, nginx, make_origin):
    run(case_, gatehouse, nginx, make_origin)
