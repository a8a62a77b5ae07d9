"""The response cache as nginx's: what is stored, for how long, under which key, and what $upstream_cache_status says."""

import pytest

from harness.side_by_side import answered, case, get, run

PATH = "proxy_cache_path @dir@/cache levels=1:2 keys_zone=zone:1m max_size=10m inactive=10m;"
STATUS = "add_header X-Cache $upstream_cache_status always;"


def twice(target: str, *arguments, **options) -> list:
    """The same request two times: the second shows whether the first was stored."""
    return [answered(target, *arguments, **options)] * 2


CASES = [
    case("validity", f"""{PATH}
server {{ listen 127.0.0.1:@http@; {STATUS} proxy_cache zone;
  location / {{ proxy_cache_valid 200 1m; proxy_cache_valid 404 1m; proxy_pass http://127.0.0.1:@origin@; }}
  location /any {{ proxy_cache_valid any 1m; proxy_pass http://127.0.0.1:@origin@; }}
  location /none {{ proxy_pass http://127.0.0.1:@origin@; }}
  location /off {{ proxy_cache off; proxy_pass http://127.0.0.1:@origin@; }}
}}""", *twice("/a", 200, "one"), answered("/a", 200, "changed, but cached"), *twice("/nf", 404, "nf"), *twice("/err", 500, "e"), *twice("/any", 500, "e"), *twice("/none", 200, "x"),
         *twice("/off", 200, "x"), *twice("/a?q=1", 200, "q"), *twice("/redirect", 301, "", {"Location": "/x"}), answered("/a", method="HEAD"), answered("/a", 200, "posted", method="POST", sent=b"x")),
    case("response_headers", f"""{PATH}
server {{ listen 127.0.0.1:@http@; {STATUS} proxy_cache zone; proxy_cache_valid 1m;
  location / {{ proxy_pass http://127.0.0.1:@origin@; }}
  location /ignore {{ proxy_ignore_headers Cache-Control Set-Cookie Expires Vary; proxy_pass http://127.0.0.1:@origin@; }}
}}""", *[ask for number, fields in enumerate((
        {"Cache-Control": "max-age=60"}, {"Cache-Control": "no-store"}, {"Cache-Control": "private"}, {"Cache-Control": "no-cache"}, {"Cache-Control": "max-age=0"}, {"Cache-Control": "s-maxage=60, max-age=0"},
        {"Set-Cookie": "a=b"}, {"Expires": "Thu, 01 Jan 1970 00:00:01 GMT"}, {"Expires": "Fri, 01 Jan 2100 00:00:00 GMT"}, {"X-Accel-Expires": "0"}, {"X-Accel-Expires": "60", "Cache-Control": "no-store"},
        {"X-Accel-Expires": "@4102444800"}, {"Vary": "*"}, {"Cache-Control": "public"}))
        for place in ("/", "/ignore/") for ask in twice(f"{place}{number}", 200, "body", fields)]),
    case("keys", f"""{PATH}
server {{ listen 127.0.0.1:@http@; {STATUS} proxy_cache zone; proxy_cache_valid 1m;
  location / {{ proxy_cache_key "$uri $arg_k"; proxy_pass http://127.0.0.1:@origin@; }}
}}""", answered("/a?k=1", 200, "one"), answered("/a?k=1&other=2", 200, "two"), answered("/a?k=2", 200, "three"), answered("/b?k=1", 200, "four")),
    case("bypass_and_no_cache", f"""{PATH}
server {{ listen 127.0.0.1:@http@; {STATUS} proxy_cache zone; proxy_cache_valid 1m;
  location / {{ proxy_cache_bypass $arg_bypass $http_x_bypass; proxy_pass http://127.0.0.1:@origin@; }}
  location /never {{ proxy_no_cache $arg_no; proxy_pass http://127.0.0.1:@origin@; }}
}}""", *twice("/a", 200, "1"), answered("/a", 200, "2", headers={"X-Bypass": "1"}), answered("/a", 200, "3"), *twice("/never?no=1", 200, "x"), *twice("/never?no=0", 200, "x")),
    case("vary", f"""{PATH}
server {{ listen 127.0.0.1:@http@; {STATUS} proxy_cache zone; proxy_cache_valid 1m; location / {{ proxy_pass http://127.0.0.1:@origin@; }} }}
""", *[answered("/v", 200, f"for {language}", {"Vary": "Accept-Language"}, headers={"Accept-Language": language}) for language in ("en", "en", "de", "de", "en")]),
    case("methods_and_min_uses", f"""{PATH}
server {{ listen 127.0.0.1:@http@; {STATUS} proxy_cache zone; proxy_cache_valid 1m;
  location /post {{ proxy_cache_methods POST; proxy_cache_key $uri; proxy_pass http://127.0.0.1:@origin@; }}
  location /uses {{ proxy_cache_min_uses 3; proxy_pass http://127.0.0.1:@origin@; }}
  location /head {{ proxy_pass http://127.0.0.1:@origin@; }}
}}""", *[answered("/post", 200, str(number), method="POST", sent=b"x") for number in range(3)], *[answered("/uses", 200, str(number)) for number in range(5)],
         answered("/head", 200, "made by HEAD", method="HEAD"), answered("/head", 200, "then GET")),
    case("client_conditions", f"""{PATH}
server {{ listen 127.0.0.1:@http@; {STATUS} proxy_cache zone; proxy_cache_valid 1m; location / {{ proxy_pass http://127.0.0.1:@origin@; }} }}
""", answered("/c", 200, "0123456789", {"ETag": '"tag"', "Last-Modified": "Sun, 13 Sep 2020 12:26:40 GMT"}),
         get("/c", headers={"If-None-Match": '"tag"'}), get("/c", headers={"If-None-Match": '"no"'}), get("/c", headers={"If-Modified-Since": "Sun, 13 Sep 2020 12:26:40 GMT"}),
         get("/c", headers={"If-Modified-Since": "Sun, 13 Sep 2020 12:26:39 GMT"}), get("/c", headers={"Range": "bytes=2-4"}), get("/c", headers={"Range": "bytes=-2"}), get("/c", method="HEAD")),
    case("stale_on_errors", f"""{PATH}
server {{ listen 127.0.0.1:@http@; {STATUS} proxy_cache zone; proxy_cache_valid 200 404 1m;
  location / {{ proxy_cache_use_stale error timeout http_500 http_503; proxy_cache_key $uri; proxy_pass http://127.0.0.1:@origin@; }}
}}""", answered("/s", 200, "good", {"X-Accel-Expires": "1"}), answered("/s", 200, "hit")),
]


@pytest.mark.parametrize("case_", CASES, ids=str)
def test_side_by_side(case_, gatehouse, nginx, make_origin):
    run(case_, gatehouse, nginx, make_origin, until_closed=True)
