"""Responses fetched in slices as nginx's slice module does it: which ranges the origin is asked for, and what the client gets."""

import pytest

from harness.side_by_side import case, get, run

TWICE = "nginx keeps the fields that were for the whole response in the 416, and adds its own again"
BODY = "".join(f"{number:04}." for number in range(2000))  # 10,000 bytes: position / 5 stands at each multiple of 5
PATH = "proxy_cache_path @dir@/cache keys_zone=zone:1m;"
STATUS = "add_header X-Cache $upstream_cache_status always; add_header X-Slice $slice_range always;"
ORIGIN = """server { listen 127.0.0.1:@files@; root @dir@; add_header X-Asked "$http_range" always;
  location /plain { max_ranges 0; } location = /missing { return 404 none; } location = /whole { return 200 whole; } }"""


def sliced(more: str = "", place: str = "") -> str:
    return f"""{PATH} {more}
{ORIGIN}
server {{ listen 127.0.0.1:@http@; {STATUS}
  location / {{ slice 1k; proxy_cache zone; proxy_cache_key $uri$is_args$args$slice_range; proxy_set_header Range $slice_range; proxy_cache_valid 200 206 1h; {place}
    proxy_pass http://127.0.0.1:@files@; }}
}}"""


def ranged(value: str, target: str = "/file", why: str = "", **headers: str):
    return get(target, headers={"Range": value, **headers}, differs=why)


FILES = {"file": BODY, "short": BODY[:100], "exact": BODY[:2048], "empty": "", "plain": BODY, "page.html": BODY}
CASES = [
    case("whole_files", sliced(), "/file", "/file", "/short", "/short", "/exact", "/exact", "/empty", "/plain", "/missing", "/whole", files=FILES),
    case("without_a_cache", f"""{ORIGIN}
server {{ listen 127.0.0.1:@http@; {STATUS} location / {{ slice 3000; proxy_set_header Range $slice_range; proxy_pass http://127.0.0.1:@files@; }} }}
""", "/file", "/short", "/exact", "/empty", ranged("bytes=10-19"), ranged("bytes=2990-3009"), ranged("bytes=-10"), get("/file", method="HEAD"), files=FILES),
    case("ranges", sliced(), ranged("bytes=0-9"), ranged("bytes=1000-1030"), ranged("bytes=1024-2047"), ranged("bytes=2048-"), ranged("bytes=9999-9999"), ranged("bytes=-1"), ranged("bytes=-5000"),
         ranged("bytes=-20000"), ranged("bytes=9000-20000"), ranged("bytes= 5-6"), ranged("bytes=0-9,20-29"), ranged("bytes=5000-5001, 10-11"), ranged("bytes=x", why=TWICE), ranged("lines=1-2"), ranged("bytes=5", why=TWICE),
         ranged("bytes=0-0", "/short"), ranged("bytes=50-5000", "/short"), ranged("bytes=0-9", "/whole"), ranged("bytes=0-9", "/plain"), ranged("bytes=3-9", "/exact"), ranged("bytes=2047-", "/exact"), files=FILES),
    case("if_range", sliced(), ranged("bytes=5000-5009", **{"If-Range": '"no"'}), ranged("bytes=5000-5009", **{"If-Range": "Sun, 13 Sep 2020 12:26:40 GMT"}), files=FILES),
    case("conditions_and_head", sliced(), "/file", get("/file", method="HEAD"), get("/file", headers={"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}), get("/file", headers={"If-None-Match": "*"}),
         get("/file", headers={"If-Match": '"no"'}), "/file?other=key", files=FILES),
    case("filters", sliced(place="sub_filter_once off; sub_filter_types *; sub_filter 0001 one; gzip on; gzip_types text/html; gzip_min_length 1;"), "/page.html", "/file", ranged("bytes=5-14", why="nginx ends after the first slice"),
         ranged("bytes=5000-5004", "/page.html", why="nginx sends nothing of what stands before the range, though it does not heed the range"),
         get("/page.html", headers={"Accept-Encoding": "gzip"}), files=FILES),
    case("slice_range_without_slices", f"""{ORIGIN}
server {{ listen 127.0.0.1:@http@; {STATUS} root @dir@; slice 1k;
  location /off {{ slice 0; add_header X-Slice "-$slice_range-"; return 200 off; }}
  location /text {{ return 200 "$slice_range $http_range"; }} }}
""", "/off", ranged("bytes=5000-", "/text", why="$slice_range is empty in the text of a return"), ranged("bytes=5000-5009"), "/file", files=FILES),
]


@pytest.mark.parametrize("case_", CASES, ids=str)
def test_side_by_side(case_, gatehouse, nginx, make_origin):
    run(case_, gatehouse, nginx, make_origin, until_closed=True)
