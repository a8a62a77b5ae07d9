"""Compression, substitution, charsets, additions and ranges of proxied answers, as in nginx."""

import gzip

import pytest

from harness.side_by_side import answered, case, get, run

LONG = "<html>" + "some text that repeats itself. " * 200 + "</html>"
HTML, PLAIN, JSON = {"Content-Type": "text/html"}, {"Content-Type": "text/plain"}, {"Content-Type": "application/json"}
GZIP = {"Accept-Encoding": "gzip"}
CASES = [
    case("gzip_decisions", """
gzip on; gzip_min_length 100; gzip_types text/plain application/json; gzip_vary on;
server { listen 127.0.0.1:@http@;
  location / { gzip_proxied any; proxy_pass http://127.0.0.1:@origin@; }
  location /default { proxy_pass http://127.0.0.1:@origin@; }
  location /off { gzip off; proxy_pass http://127.0.0.1:@origin@; }
  location /all { gzip_types *; gzip_proxied any; proxy_pass http://127.0.0.1:@origin@; }
  location /ie { gzip_disable "msie6"; gzip_proxied any; proxy_pass http://127.0.0.1:@origin@; }
  location /return { return 200 "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789+"; }
}""", answered("/", 200, LONG, HTML), answered("/", 200, LONG, HTML, headers={"Accept-Encoding": "identity"}), answered("/", 200, LONG, {"Content-Type": "image/png"}, headers=GZIP),
         answered("/", 200, "short", HTML, headers=GZIP), answered("/", 404, LONG, HTML, headers={"Accept-Encoding": "br"}), answered("/off", 200, LONG, HTML, headers=GZIP),
         answered("/", 200, LONG, {**HTML, "Content-Encoding": "br"}, headers=GZIP), answered("/", 500, LONG, HTML, headers=GZIP), answered("/", 200, LONG, HTML, headers={"Accept-Encoding": "gzip;q=0"}),
         answered("/default", 200, LONG, HTML, headers={**GZIP, "Via": "1.1 x"}), answered("/ie", 200, LONG, HTML, headers={**GZIP, "User-Agent": "Mozilla/4.0 (compatible; MSIE 6.0; x)"}),
         answered("/", 304, ""), answered("/", 200, LONG, {"Content-Type": "text/css"}, headers=GZIP)),
    case("gzip_heads", """
gzip on; gzip_min_length 1; gzip_proxied any; gzip_vary on;
server { listen 127.0.0.1:@http@; location / { proxy_pass http://127.0.0.1:@origin@; } }
""", answered("/", 200, LONG, {**HTML, "ETag": '"strong"', "Last-Modified": "Sun, 13 Sep 2020 12:26:40 GMT", "Accept-Ranges": "bytes"}, headers=GZIP, method="HEAD"),
         answered("/", 200, LONG, {**HTML, "Vary": "Cookie"}, headers={"Accept-Encoding": "x"})),
    case("gzip_proxied_words", """
gzip on; gzip_min_length 1;
server { listen 127.0.0.1:@http@;
  location /expired { gzip_proxied expired no-cache no-store private auth; proxy_pass http://127.0.0.1:@origin@; }
  location /nolm { gzip_proxied no_last_modified no_etag; proxy_pass http://127.0.0.1:@origin@; }
}""", *[answered(target, 200, "", {**HTML, **fields}, method="HEAD", headers={**GZIP, "Via": "1.0 p"}) for target in ("/expired", "/nolm") for fields in (
        {}, {"Cache-Control": "no-cache"}, {"Cache-Control": "private"}, {"Expires": "Thu, 01 Jan 1970 00:00:01 GMT"}, {"Last-Modified": "Sun, 13 Sep 2020 12:26:40 GMT"}, {"ETag": '"x"'})]),
    case("sub_filter", """
server { listen 127.0.0.1:@http@;
  location / { sub_filter "http://old/" "https://$host/"; sub_filter "Cat" "dog"; proxy_pass http://127.0.0.1:@origin@; }
  location /every { sub_filter_once off; sub_filter_types text/plain; sub_filter ab "<$arg_x>"; proxy_pass http://127.0.0.1:@origin@; }
  location /star { sub_filter_once off; sub_filter_types *; sub_filter_last_modified on; sub_filter aab X; sub_filter aac Y; proxy_pass http://127.0.0.1:@origin@; }
  location /delete { sub_filter_once off; sub_filter </body> ""; proxy_pass http://127.0.0.1:@origin@; }
}""", *[answered(target, 200, body, fields) for target, body, fields in (
        ("/", "see http://old/a and http://old/b, cat CAT", HTML), ("/", "see http://old/a", PLAIN), ("/every?x=1", "ab aab abab a", PLAIN), ("/every?x=", "AB ab", HTML),
        ("/star", "aaab aaac aaaab aab", JSON), ("/star", "none", {"Content-Type": "x/y", "Last-Modified": "Sun, 13 Sep 2020 12:26:40 GMT", "ETag": '"e"'}), ("/delete", "<body>x</BODY>y</body>", HTML),
        ("/", "", HTML))], answered("/", 404, "cat", HTML), answered("/", 200, "cat", HTML, method="HEAD"), answered("/", 200, "cat", {**HTML, "Content-Encoding": "gzip"})),
    case("charset", """
server { listen 127.0.0.1:@http@;
  location /utf { charset utf-8; return 200 "text"; }
  location /html { default_type text/html; charset koi8-r; return 200 "text"; }
  location /json { default_type application/json; charset utf-8; return 200 "{}"; }
  location /types { default_type application/json; charset utf-8; charset_types application/json; return 200 "{}"; }
  location /off { charset off; return 200 "text"; }
  location /proxy { charset utf-8; proxy_pass http://127.0.0.1:@origin@; }
  location /override { charset utf-8; override_charset on; proxy_pass http://127.0.0.1:@origin@; }
}""", "/utf", "/html", "/json", "/types", "/off", answered("/proxy", 200, "x", HTML), answered("/proxy", 200, "x", {"Content-Type": "text/html; charset=latin1"}),
         answered("/proxy", 200, "x", {}), answered("/proxy", 200, "x", {**HTML, "X-Accel-Charset": "koi8-r"})),
    case("charset_map", """
charset_map koi8-r windows-1251 { C1 E0; C2 E1; D7 E2; }
charset_map latin utf-8 { E4 C3A4; F6 C3B6; }
server { listen 127.0.0.1:@http@;
  location /one { charset windows-1251; source_charset koi8-r; alias @dir@/koi.txt; default_type text/plain; }
  location /utf { charset utf-8; source_charset latin; alias @dir@/latin.txt; default_type text/plain; }
}""", "/one", "/utf", files={"koi.txt": b"a\xc1\xc2\xd7\xff", "latin.txt": b"a\xe4\xf6b\xe5"}),
    case("addition", """
server { listen 127.0.0.1:@http@;
  location / { add_before_body /before; add_after_body /after; proxy_pass http://127.0.0.1:@origin@; }
  location /types { addition_types text/plain; add_after_body /after; proxy_pass http://127.0.0.1:@origin@; }
  location = /before { return 200 "[before]"; }
  location = /after { return 200 "[after]"; }
}""", answered("/", 200, "body", HTML), answered("/", 200, "body", PLAIN), answered("/types", 200, "body", PLAIN), answered("/", 404, "body", HTML), answered("/", 200, "body", HTML, method="HEAD")),
    case("gunzip", """
server { listen 127.0.0.1:@http@; gunzip on; location / { gzip_static always; root @dir@/zip; default_type text/plain; } }
""", "/a.txt", get("/a.txt", headers=GZIP), get("/a.txt", headers={"Accept-Encoding": "deflate"}), get("/a.txt", method="HEAD"),
         files={"zip/a.txt.gz": gzip.compress(b"unpacked text\n" * 50, mtime=0)}),
    case("ranges_of_proxied_answers", """
server { listen 127.0.0.1:@http@;
  location / { proxy_pass http://127.0.0.1:@origin@; }
  location /force { proxy_force_ranges on; proxy_pass http://127.0.0.1:@origin@; }
}""", *[answered(target, 200, "0123456789", fields, headers={"Range": value}) for target in ("/", "/force") for fields in (PLAIN, {**PLAIN, "Accept-Ranges": "bytes"}) for value in ("bytes=2-4", "bytes=-3", "bytes=20-")],
         answered("/", 206, "234", {"Content-Range": "bytes 2-4/10"}, headers={"Range": "bytes=2-4"})),
    case("trailers_and_expires", """
server { listen 127.0.0.1:@http@;
  location /trailer { add_trailer X-End "$arg_x" always; proxy_pass http://127.0.0.1:@origin@; }
  location /keep { expires epoch; proxy_pass http://127.0.0.1:@origin@; }
}""", answered("/keep", 200, "x", {"Cache-Control": "max-age=5", "Expires": "Sun, 13 Sep 2020 12:26:40 GMT"}), answered("/keep", 404, "x"), answered("/trailer?x=1", 200, "body"), answered("/trailer?x=", 200, "body")),
    case("limit_rate_values", """
server { listen 127.0.0.1:@http@;
  location / { limit_rate 100k; limit_rate_after 1m; add_header X-Rate "$limit_rate"; proxy_pass http://127.0.0.1:@origin@; }
  location /set { set $limit_rate 50k; add_header X-Rate "$limit_rate"; proxy_pass http://127.0.0.1:@origin@; }
}""", "/", "/set", answered("/", 200, "x", {"X-Accel-Limit-Rate": "1000"})),
]


@pytest.mark.parametrize("case_", CASES, ids=str)
def test_side_by_side(case_, gatehouse, nginx, make_origin):
    run(case_, gatehouse, nginx, make_origin)
