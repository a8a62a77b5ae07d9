"""Limits, authentication and values computed from the request, as in nginx."""

import pytest

from harness.side_by_side import answered, case, get, run

HTPASSWD = """plain:{PLAIN}secret
sha:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=
apr1:$apr1$salt1234$DLMCoNJGy0OTPGZvEHNcE/
crypt:aaDWGHlUlSVBU
sha512:$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/
# comment
broken
"""
BASIC = {"plain:secret": "cGxhaW46c2VjcmV0", "plain:wrong": "cGxhaW46d3Jvbmc=", "sha:secret": "c2hhOnNlY3JldA==", "nobody:x": "bm9ib2R5Ong=", "plain": "cGxhaW4=", "empty": ""}
CASES = [
    case("auth_basic", """
server { listen 127.0.0.1:@http@; auth_basic "site $host"; auth_basic_user_file @dir@/users;
  location / { proxy_set_header X-User $remote_user; proxy_pass http://127.0.0.1:@origin@; }
  location /off { auth_basic off; proxy_pass http://127.0.0.1:@origin@; }
  location /quote { auth_basic 'a "quoted" realm'; proxy_pass http://127.0.0.1:@origin@; }
  location /return { return 200 "no authentication before return\\n"; }
  location /nofile { auth_basic_user_file @dir@/absent; proxy_pass http://127.0.0.1:@origin@; }
}""", "/", *[get("/", headers={"Authorization": f"Basic {value}"}) for value in BASIC.values()], get("/", headers={"Authorization": "Bearer x"}),
         get("/", headers={"Authorization": "basic cGxhaW46c2VjcmV0"}), get("/", headers={"Authorization": "Basic !!!"}), "/off", get("/quote", differs="quotes inside the realm are escaped (RFC 9110 section 5.6.4)"), "/return",
         get("/nofile", headers={"Authorization": f"Basic {BASIC['plain:secret']}"}), get("/", method="HEAD"), files={"users": HTPASSWD}),
    case("satisfy", """
server { listen 127.0.0.1:@http@; auth_basic realm; auth_basic_user_file @dir@/users;
  location /any-in { satisfy any; allow 127.0.0.1; deny all; proxy_pass http://127.0.0.1:@origin@; }
  location /any-out { satisfy any; deny all; proxy_pass http://127.0.0.1:@origin@; }
  location /all-out { satisfy all; deny all; proxy_pass http://127.0.0.1:@origin@; }
  location /all-in { satisfy all; allow all; proxy_pass http://127.0.0.1:@origin@; }
}""", *[get(target, headers=headers) for target in ("/any-in", "/any-out", "/all-out", "/all-in") for headers in ({}, {"Authorization": f"Basic {BASIC['plain:secret']}"})], files={"users": HTPASSWD}),
    case("auth_request", """
server { listen 127.0.0.1:@http@;
  location / { auth_request /auth; auth_request_set $user $upstream_http_x_user; proxy_set_header X-User $user; add_header X-Auth "$user" always; proxy_pass http://127.0.0.1:@origin@; }
  location /ok { auth_request /yes; proxy_pass http://127.0.0.1:@origin@; }
  location /off/ { auth_request off; proxy_pass http://127.0.0.1:@origin@; }
  location /broken { auth_request /fails; proxy_pass http://127.0.0.1:@origin@; }
  location = /auth { internal; proxy_pass http://127.0.0.1:@origin@; proxy_pass_request_body off; proxy_set_header Content-Length ""; }
  location = /yes { return 204; }
  location = /fails { return 500; }
}""", answered("/x", 200, "both see it", {"X-User": "alice"}), answered("/x", 401, "", {"WWW-Authenticate": "Basic realm=\"sub\""}), answered("/x", 403, ""), answered("/x", 500, ""),
         answered("/x", 302, "", {"Location": "/login"}), "/ok", "/off/x", "/broken", "/auth", get("/ok", method="POST", body=b"kept for the origin")),
    case("limit_req", """
limit_req_zone $arg_k zone=one:1m rate=1r/m;
limit_req_zone $arg_k zone=burst:1m rate=1r/m;
limit_req_zone $arg_other zone=other:1m rate=1r/m;
server { listen 127.0.0.1:@http@;
  location /strict { limit_req zone=one; proxy_pass http://127.0.0.1:@origin@; add_header X-S "$limit_req_status" always; }
  location /burst { limit_req zone=burst burst=2 nodelay; limit_req_status 429; proxy_pass http://127.0.0.1:@origin@; }
  location /dry { limit_req zone=one; limit_req_dry_run on; proxy_pass http://127.0.0.1:@origin@; add_header X-S "$limit_req_status" always; }
  location /page { limit_req zone=one; error_page 503 = @limited; proxy_pass http://127.0.0.1:@origin@; }
  location @limited { return 429 "slow down\\n"; }
}""", "/strict?k=a", "/strict?k=a", "/strict?k=b", "/strict", "/strict", "/burst?k=a", "/burst?k=a", "/burst?k=a", "/burst?k=a", "/dry?k=a", "/dry?k=c", "/dry?k=c", "/page?k=a"),
    case("limit_conn", """
limit_conn_zone $binary_remote_addr zone=addr:1m;
server { listen 127.0.0.1:@http@;
  location /one { limit_conn addr 1; limit_conn_status 429; add_header X-S "$limit_conn_status" always; proxy_pass http://127.0.0.1:@origin@; }
}""", "/one", "/one", get("/one", method="POST", body=b"x")),
    case("limit_except", """
server { listen 127.0.0.1:@http@;
  location /get { limit_except GET { deny all; } proxy_pass http://127.0.0.1:@origin@; }
  location /post { limit_except POST PUT { allow 10.0.0.0/8; deny all; } proxy_pass http://127.0.0.1:@origin@; }
  location /auth { limit_except GET { auth_basic x; auth_basic_user_file @dir@/users; } proxy_pass http://127.0.0.1:@origin@; }
}""", *[get(target, method=method, body=b"" if method in ("POST", "PUT") else None) for target in ("/get", "/post", "/auth") for method in ("GET", "HEAD", "POST", "PUT", "DELETE")],
         get("/auth", method="DELETE", headers={"Authorization": f"Basic {BASIC['plain:secret']}"}), files={"users": HTPASSWD}),
    case("geo", """
geo $where { default other; 127.0.0.0/8 loopback; 127.0.0.1 me; 10.0.0.0/8 ten; 2001:db8::/32 six; delete 10.0.0.0/8; }
geo $arg_ip $by_argument { default none; 192.168.0.0/16 private; 192.168.1.0/24 "office net"; 8.8.8.8 dns; }
geo $arg_ip $range { ranges; default none; 10.0.0.0-10.0.0.255 low; 10.0.1.0-10.255.255.255 high; }
geo $proxied { default direct; proxy 127.0.0.1; 1.2.3.0/24 behind; }
server { listen 127.0.0.1:@http@; return 200 "$where|$by_argument|$range|$proxied\\n"; }
""", "/", "/?ip=192.168.1.7", "/?ip=192.168.2.7", "/?ip=8.8.8.8", "/?ip=10.0.0.77", "/?ip=10.0.1.0", "/?ip=bad", get("/", headers={"X-Forwarded-For": "1.2.3.4"}),
         get("/", headers={"X-Forwarded-For": "9.9.9.9, 1.2.3.4"})),
    case("split_clients", """
split_clients $arg_id $bucket { 10% a; 0.5% b; 33.33% c; * rest; }
split_clients "${arg_id}salt" $half { 50% left; 50% right; }
server { listen 127.0.0.1:@http@; return 200 "$bucket $half\\n"; }
""", *[f"/?id={number}" for number in range(40)]),
    case("valid_referers", """
server { listen 127.0.0.1:@http@; server_name www.example.com;
  location /a { valid_referers none blocked server_names *.friend.org good.* example.net/path ~\\.google\\.; if ($invalid_referer) { return 403; } return 200 "fine\\n"; }
  location /b { valid_referers server_names; if ($invalid_referer) { return 403; } return 200 "fine\\n"; }
}""", "/a", "/b", *[get(target, headers={"Referer": value}) for target in ("/a", "/b") for value in (
        "http://www.example.com/x", "https://www.example.com", "http://a.friend.org/", "http://friend.org/", "http://good.thing/", "http://example.net/path/x", "http://example.net/",
        "http://www.google.com/search", "http://evil.example/", "stripped", "", "http://www.example.com.evil.org/")]),
    case("secure_link", """
server { listen 127.0.0.1:@http@;
  location /s/ { secure_link $arg_md5,$arg_expires; secure_link_md5 "$secure_link_expires$uri secret"; if ($secure_link = "") { return 403; } if ($secure_link = "0") { return 410; } return 200 "ok $secure_link\\n"; }
  location /p/ { secure_link_secret word; if ($secure_link = "") { return 403; } return 200 "link $secure_link\\n"; }
}""", "/s/x", "/s/x?md5=bad&expires=9999999999", "/s/file?md5=Cb3e0OsmjcmmlkRAUzpp4A&expires=9999999999", "/s/file?md5=_e4Nc3iduzkWRm01TBBNYw", "/p/bad/x", "/p/0b4a2e7b9c0b6d4f7b0f4e0c1a2b3c4d/x", "/p/x"),
    case("userid_reset", """
server { listen 127.0.0.1:@http@; userid on; userid_name uid; userid_path /p; userid_domain example.com; userid_flags httponly samesite=lax;
  location / { add_header X-Got "$uid_got" ; return 200 "x"; }
  location /log { userid log; add_header X-Got "$uid_got$uid_set"; return 200 "x"; }
}""", get("/", headers={"Cookie": "uid=fwAAAV9eEABkQFx5AwMCAg=="}), get("/", headers={"Cookie": "UID=fwAAAV9eEABkQFx5AwMCAg=="}), get("/log"), get("/log", headers={"Cookie": "uid=short"})),
    case("body_size_and_access_order", """
server { listen 127.0.0.1:@http@; client_max_body_size 10;
  location / { deny all; proxy_pass http://127.0.0.1:@origin@; }
  location /r { return 200 "returned\\n"; }
}""", get("/", method="POST", body=b"x" * 20), get("/", method="POST", body=b"x"), get("/r", method="POST", body=b"x" * 20)),
    case("mirror", """
server { listen 127.0.0.1:@http@;
  location / { mirror /copy; proxy_pass http://127.0.0.1:@origin@; }
  location /nobody { mirror /copy; mirror_request_body off; proxy_pass http://127.0.0.1:@origin@; }
  location = /copy { internal; proxy_pass http://127.0.0.1:@origin@/mirrored$request_uri; }
}""", "/a?b", get("/a", method="POST", body=b"form"), get("/nobody", method="POST", body=b"form"), "/copy"),
    case("stub_status_and_methods", """
server { listen 127.0.0.1:@http@; location = /none { stub_status; deny all; } location /x { return 200 "$connections_active>=1"; } }
""", "/none", get("/none", method="POST", body=b"")),
]


@pytest.mark.parametrize("case_", CASES, ids=str)
def test_side_by_side(case_, gatehouse, nginx, make_origin):
    run(case_, gatehouse, nginx, make_origin)
