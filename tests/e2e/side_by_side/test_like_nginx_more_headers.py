"""more_set_headers and more_clear_headers beside nginx with the headers-more module."""

import pytest

from harness.side_by_side import answered, case, get, run

MODULE = "load_module /usr/lib/nginx/modules/ngx_http_headers_more_filter_module.so;"
FIELDS = {"X-Powered-By": "origin/1", "X-Hidden-One": "1", "X-Hidden-Two": "2", "X-Kept": "k", "Link": "</a>", "ETag": '"e"', "Cache-Control": "no-cache"}


def seen(target: str, status: int = 200, content_type: str = "text/html"):
    return answered(target, status, "body", {**FIELDS, "Content-Type": content_type})


CASES = [
    case("set", """server { listen 127.0.0.1:@http@;
  more_set_headers "X-Server: outer" "X-Powered-By: us";
  location / { proxy_pass http://127.0.0.1:@origin@; }
  location /own { more_set_headers "X-Own: $arg_v$host" "Cache-Control: max-age=5"; proxy_pass http://127.0.0.1:@origin@; }
  location /again { more_set_headers "X-Server: inner"; proxy_pass http://127.0.0.1:@origin@; }
  location /empty { more_set_headers "X-Powered-By:" "X-Kept: $arg_v" X-Hidden-One; proxy_pass http://127.0.0.1:@origin@; }
  location /local { return 200 text; } location /moved { return 301 /x; } location /denied { deny all; }
  location /added { add_header X-Kept added; add_header X-Own added; more_set_headers "X-Kept: set"; more_clear_headers X-Own; proxy_pass http://127.0.0.1:@origin@; }
}""", seen("/"), seen("/own?v=1"), seen("/again"), seen("/empty"), seen("/empty?v=2"), "/local", "/moved", "/denied", seen("/added"), seen("/", 404), seen("/own", 500),
         get("/local", method="HEAD"), main=MODULE),
    case("clear", """server { listen 127.0.0.1:@http@;
  location / { more_clear_headers X-Powered-By X-Hidden-*; proxy_pass http://127.0.0.1:@origin@; }
  location /etag { more_clear_headers ETag link "Cache-Control"; proxy_pass http://127.0.0.1:@origin@; }
  location /type { more_clear_headers Content-Type; proxy_pass http://127.0.0.1:@origin@; }
}""", seen("/"), seen("/etag"), seen("/", 503), main=MODULE),
    case("conditions", """server { listen 127.0.0.1:@http@;
  more_set_headers -s "404 503" "X-Failed: yes"; more_set_headers -t "text/plain application/json" "X-Text: $upstream_status";
  more_set_headers -s 200 -t text/css "X-Style: yes"; more_clear_headers -s 200 X-Kept;
  location / { proxy_pass http://127.0.0.1:@origin@; }
  location /local { return 404; }
}""", *[seen(f"/{status}/{kind}", status, kind) for status in (200, 404, 503) for kind in ("text/html", "text/plain", "application/json", "text/css", "text/plain; charset=utf-8")], "/local", main=MODULE),
]


@pytest.mark.parametrize("case_", CASES, ids=str)
def test_side_by_side(case_, gatehouse, nginx, make_origin):
    run(case_, gatehouse, nginx, make_origin, until_closed=True)
