"""What reaches the origin and what comes back, as in nginx."""

import pytest

from harness.side_by_side import answered, case, get, run

ORIGIN = "http://127.0.0.1:@origin@"
CASES = [
    case("uri_of_proxy_pass", f"""
server {{ listen 127.0.0.1:@http@;
  location / {{ proxy_pass http://127.0.0.1:@origin@; }}
  location /slash/ {{ proxy_pass http://127.0.0.1:@origin@/; }}
  location /noslash {{ proxy_pass http://127.0.0.1:@origin@/base; }}
  location /deep/ {{ proxy_pass http://127.0.0.1:@origin@/a/b/; }}
  location = /exact {{ proxy_pass http://127.0.0.1:@origin@/target; }}
  location ~ ^/re/(.*)$ {{ proxy_pass http://127.0.0.1:@origin@/regex/$1$is_args$args; }}
  location ~ ^/plainre/ {{ proxy_pass http://127.0.0.1:@origin@; }}
  location /rw/ {{ rewrite ^/rw/(.*)$ /rewritten/$1 break; proxy_pass http://127.0.0.1:@origin@; }}
  location /rwu/ {{ rewrite ^/rwu/(.*)$ /rewritten/$1 break; proxy_pass http://127.0.0.1:@origin@/ignored/; }}
  location /var/ {{ set $target http://127.0.0.1:@origin@; proxy_pass $target; }}
  location /varuri/ {{ set $target http://127.0.0.1:@origin@; proxy_pass $target/fixed; }}
}}""", "/a?b=c", "/slash/x?y=1", "/slash/a%20b", "/noslash/x", "/noslashx", "/deep/c/d?e", "/exact?q=1", "/re/one?two=3", "/plainre/x", "/rw/x%20y?z", "/rwu/x",
         "/var/a%2Fb?c", "/varuri/x?y", "/a%2fb", "/a//b", "/a/../b", "/slash/../slash/x", "/%D0%B0", "/a%00b".replace("%00", "%01"), "/slash"),
    case("request_fields", f"""
server {{ listen 127.0.0.1:@http@;
  location /default {{ proxy_pass http://127.0.0.1:@origin@; }}
  location /set {{ proxy_set_header Host $host; proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Empty ""; proxy_set_header User-Agent "fixed"; proxy_pass http://127.0.0.1:@origin@; }}
  location /hosthdr {{ proxy_set_header Host $http_host; proxy_pass http://127.0.0.1:@origin@; }}
  location /nohdr {{ proxy_pass_request_headers off; proxy_pass http://127.0.0.1:@origin@; }}
  location /nobody {{ proxy_pass_request_body off; proxy_set_header Content-Length ""; proxy_pass http://127.0.0.1:@origin@; }}
  location /method {{ proxy_method PUT; proxy_pass http://127.0.0.1:@origin@; }}
}}""", "/default", get("/default", headers={"X-A": "1", "Accept": "*/*", "Cookie": "a=b", "Referer": "r"}), get("/set", headers={"X-Forwarded-For": "1.2.3.4", "X-Empty": "gone"}),
         get("/set", headers={"User-Agent": "mine"}), get("/hosthdr", host="www.example.com:81"), get("/nohdr", headers={"X-A": "1"}),
         get("/nobody", method="POST", body=b"dropped"), get("/method"), get("/method", method="POST", body=b"kept"),
         get("/default", method="POST", body=b"form=1", headers={"Content-Type": "application/x-www-form-urlencoded"}), get("/default", method="DELETE"),
         get("/default", headers=[("X-Multi", "1"), ("X-Multi", "2")]), get("/default", headers={"X_Under_Score": "dropped"}), get("/default", headers={"Upgrade-Insecure-Requests": "1"})),
    case("inherited_set_header", f"""
proxy_set_header X-Http http;
server {{ listen 127.0.0.1:@http@; proxy_set_header X-Server server;
  location / {{ proxy_pass http://127.0.0.1:@origin@; }}
  location /own {{ proxy_set_header X-Own own; proxy_pass http://127.0.0.1:@origin@; }}
}}""", "/", "/own"),
    case("underscores", f"""
server {{ listen 127.0.0.1:@http@; underscores_in_headers on; location / {{ proxy_pass http://127.0.0.1:@origin@; }} }}
""", get("/", headers={"X_Under": "kept"}), get("/", headers={"X-Dash": "kept"})),
    case("response_fields", f"""
server {{ listen 127.0.0.1:@http@;
  location / {{ proxy_pass http://127.0.0.1:@origin@; }}
  location /hide {{ proxy_hide_header X-Secret; proxy_hide_header set-cookie; proxy_pass http://127.0.0.1:@origin@; }}
  location /pass {{ proxy_pass_header X-Accel-Expires; proxy_pass http://127.0.0.1:@origin@; }}
  location /add {{ add_header X-Added "v $arg_x"; add_header X-Always yes always; add_header X-Empty ""; proxy_pass http://127.0.0.1:@origin@; }}
}}""", *[answered(place, status, "b", {"X-Secret": "s", "Set-Cookie": "a=b", "X-Accel-Expires": "1", "X-Pad": "p", "Cache-Control": "no-cache", "ETag": '"x"'})
         for place in ("/", "/hide", "/pass", "/add?x=1") for status in (200, 404)],
         answered("/", 200, "b", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Vary", "A"), ("Vary", "B")]), answered("/add", 304, ""), answered("/add", 201, "made"),
         answered("/", 204, ""), get("/", method="HEAD"), answered("/", 599, "odd"), answered("/", 200, "", {"Content-Type": "text/html; charset=utf-8"})),
    case("add_header_inheritance", f"""
add_header X-Http h;
server {{ listen 127.0.0.1:@http@; add_header X-Server s;
  location / {{ return 200 "x"; }}
  location /own {{ add_header X-Own o; return 200 "x"; }}
  location /nested/ {{ add_header X-Outer o; location /nested/in/ {{ return 200 "x"; }} return 200 "x"; }}
  location /404 {{ return 404; }}
}}""", "/", "/own", "/nested/", "/nested/in/", "/404"),
    case("proxy_redirect_forms", f"""
server {{ listen 127.0.0.1:@http@;
  location /default/ {{ proxy_pass http://127.0.0.1:@origin@/inner/; }}
  location /off/ {{ proxy_redirect off; proxy_pass http://127.0.0.1:@origin@/inner/; }}
  location /rule/ {{ proxy_redirect http://backend.example/ /rule/; proxy_redirect https://two.example/ http://$host/two/; proxy_pass http://127.0.0.1:@origin@; }}
  location /regex/ {{ proxy_redirect ~^http://([^/]+)/(.*)$ /by/$1/$2; proxy_pass http://127.0.0.1:@origin@; }}
  location /icase/ {{ proxy_redirect ~*^HTTP://UPPER/(.*)$ http://lower/$1; proxy_pass http://127.0.0.1:@origin@; }}
}}""", *[answered(place, 302, "", {"Location": location}) for place, location in (
        ("/default/x", "http://127.0.0.1:@origin@/inner/y"), ("/off/x", "http://127.0.0.1:1/inner/y"), ("/rule/x", "http://backend.example/a/b?c"), ("/rule/x", "https://two.example/q"),
        ("/rule/x", "http://other.example/q"), ("/regex/x", "http://some.host/p/q"), ("/icase/x", "http://upper/abc"), ("/default/x", "/relative"),
        ("/rule/x", "/relative"))],
         answered("/rule/x", 200, "", {"Refresh": "5; url=http://backend.example/r"}), answered("/off/x", 200, "", {"Refresh": "5; url=http://backend.example/r"})),
    case("proxy_cookies", f"""
server {{ listen 127.0.0.1:@http@;
  location /domain {{ proxy_cookie_domain backend.example www.example.com; proxy_cookie_domain ~\\.inner\\.(\\w+)$ .outer.$1; proxy_pass http://127.0.0.1:@origin@; }}
  location /path {{ proxy_cookie_path /app/ /; proxy_cookie_path ~^/v(\\d)/ /version$1/; proxy_pass http://127.0.0.1:@origin@; }}
  location /flags {{ proxy_cookie_flags one secure httponly samesite=strict; proxy_cookie_flags ~^s nosecure; proxy_pass http://127.0.0.1:@origin@; }}
  location /none {{ proxy_cookie_domain off; proxy_cookie_path off; proxy_pass http://127.0.0.1:@origin@; }}
}}""", *[answered(place, 200, "", {"Set-Cookie": cookie}) for place, cookie in (
        ("/domain", "a=b; Domain=backend.example; Path=/"), ("/domain", "a=b; domain=.backend.example"), ("/domain", "a=b; Domain=x.inner.org"), ("/domain", "a=b"),
        ("/path", "a=b; Path=/app/x; Secure"), ("/path", "a=b; Path=/v2/x"), ("/path", "a=b; path=/other"), ("/flags", "one=1; Path=/"), ("/flags", "session=1; Secure; HttpOnly"),
        ("/flags", "two=2"), ("/none", "a=b; Domain=backend.example; Path=/app/"))]),
    case("bodies", f"""
client_max_body_size 1k;
server {{ listen 127.0.0.1:@http@;
  location / {{ proxy_pass http://127.0.0.1:@origin@; }}
  location /big {{ client_max_body_size 100k; client_body_buffer_size 1k; proxy_pass http://127.0.0.1:@origin@; }}
  location /set {{ proxy_set_body "fixed $arg_x"; proxy_pass http://127.0.0.1:@origin@; }}
  location /stream {{ proxy_request_buffering off; proxy_http_version 1.1; client_max_body_size 100k; proxy_pass http://127.0.0.1:@origin@; }}
}}""", get("/", method="POST", body=b"x" * 1000), get("/", method="POST", body=b"x" * 1025), get("/big", method="POST", body=b"y" * 50000), get("/set?x=1"),
         get("/set?x=2", method="POST", body=b"replaced"), get("/stream", method="POST", body=b"z" * 50000), get("/", method="PUT", body=b""),
         get("/big", method="POST", body=b"5\r\nhello\r\n0\r\n\r\n", headers={"Transfer-Encoding": "chunked"})),
    case("upstream_blocks", """
upstream one { server 127.0.0.1:@origin@; }
upstream dead { server 127.0.0.1:1; }
upstream mixed { server 127.0.0.1:1 max_fails=1; server 127.0.0.1:@origin@ backup; }
upstream down { server 127.0.0.1:@origin@ down; server 127.0.0.1:@origin@; }
server { listen 127.0.0.1:@http@;
  location / { proxy_pass http://one; }
  location /host { proxy_set_header Host $proxy_host; proxy_pass http://one/x/; }
  location /dead { proxy_pass http://dead; }
  location /mixed { proxy_pass http://mixed; }
  location /down { proxy_pass http://down; }
}""", "/", "/host", "/dead", "/mixed", "/down"),
    case("variables_of_the_request", """
server { listen 127.0.0.1:@http@; server_name www.example.com;
  location /v { add_header X-1 "$scheme|$host|$http_host|$server_name|$server_port|$server_protocol|$request_method";
    add_header X-2 "$uri|$document_uri|$request_uri|$args|$query_string|$is_args|$arg_a|$arg_B";
    add_header X-3 "$remote_addr|$http_user_agent|$http_x_custom|$cookie_sid|$content_type|$content_length|$remote_user";
    add_header X-4 "$request" always;
    add_header X-5 "$document_root|$request_filename|$https|$limit_rate|$server_addr|$request_completion|$pipe";
    return 200 "${request_method}x$arg_a-$hostname"; }
}""", *[ask for ask in (get("/v?a=1&B=2", headers={"User-Agent": "ua", "X-Custom": "c", "Cookie": "x=y; sid=77"}), get("/v"), get("/v?", method="POST", body=b"abc",
        headers={"Content-Type": "text/x", "Authorization": "Basic dXNlcjpwYXNz"}), get("/v?a=%20x"), get("/v?A=upper"), get("/v", headers=[("X-Custom", "1"), ("X-Custom", "2")], differs="fields of one name are joined, as nginx does since 1.23"),
        get("/v", headers=[("Cookie", "sid=1"), ("Cookie", "sid=2")]))]),
    case("upstream_variables", f"""
server {{ listen 127.0.0.1:@http@;
  location / {{ proxy_pass http://127.0.0.1:@origin@/x/; add_header X-Up "$upstream_status|$upstream_http_x_some|$upstream_response_length|$upstream_cookie_c|$proxy_host|$proxy_port" always;
    add_header X-Sent "$sent_http_content_type|$sent_http_x_some" always; }}
  location /none {{ add_header X-Up "$upstream_status|$upstream_addr|$upstream_response_time|" always; return 200 "n"; }}
}}""", answered("/", 200, "body", {"X-Some": "v", "Set-Cookie": "c=1; Path=/", "Content-Type": "text/plain"}), answered("/", 404, "nf"), "/none"),
    case("methods", f"""
server {{ listen 127.0.0.1:@http@; location / {{ proxy_pass http://127.0.0.1:@origin@; }} location /only {{ limit_except GET {{ deny all; }} proxy_pass http://127.0.0.1:@origin@; }} }}
""", *[get("/", method=method, body=b"" if method in ("POST", "PUT", "PATCH") else None) for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND")],
         "/only", get("/only", method="HEAD"), get("/only", method="POST", body=b"")),
    case("access_rules", f"""
server {{ listen 127.0.0.1:@http@;
  location /open {{ allow 127.0.0.1; deny all; proxy_pass http://127.0.0.1:@origin@; }}
  location /closed {{ deny 127.0.0.0/8; allow all; proxy_pass http://127.0.0.1:@origin@; }}
  location /all {{ deny all; proxy_pass http://127.0.0.1:@origin@; }}
  location /return {{ deny all; return 200 "return comes first\\n"; }}
  location /v6 {{ allow ::1; deny all; proxy_pass http://127.0.0.1:@origin@; }}
}}""", "/open", "/closed", "/all", "/return", "/v6"),
    case("real_ip", """
set_real_ip_from 127.0.0.1; set_real_ip_from 10.0.0.0/8;
server { listen 127.0.0.1:@http@;
  location /xff { real_ip_header X-Forwarded-For; add_header X-Ip "$remote_addr $realip_remote_addr"; return 200 "x"; return 404; }
  location / { real_ip_header X-Forwarded-For; proxy_set_header X-Ip $remote_addr; proxy_pass http://127.0.0.1:@origin@; }
  location /rec { real_ip_header X-Forwarded-For; real_ip_recursive on; proxy_set_header X-Ip "$remote_addr|$realip_remote_addr"; proxy_pass http://127.0.0.1:@origin@; }
  location /own { real_ip_header X-Client; proxy_set_header X-Ip $remote_addr; proxy_pass http://127.0.0.1:@origin@; }
}""", *[get(place, headers={"X-Forwarded-For": value, "X-Client": "9.9.9.9"}) for place in ("/", "/rec", "/own")
        for value in ("1.2.3.4", "1.2.3.4, 10.0.0.1", "5.6.7.8, 1.2.3.4, 10.1.1.1", "garbage", "1.2.3.4:99")]),
]


@pytest.mark.parametrize("case_", CASES, ids=str)
def test_side_by_side(case_, gatehouse, nginx, make_origin):
    run(case_, gatehouse, nginx, make_origin)
