"""What a client gets when the slices of a response do not fit together."""

import pytest

from harness.client import Closed
from harness.origin import reply

BODY = bytes(range(97, 122)) * 40  # 1,000 bytes
CONFIGURATION = """
server {
    listen 127.0.0.1:@http@;
    location / { slice 300; proxy_set_header Range $slice_range; proxy_pass http://127.0.0.1:@origin@; }
}
"""


def part(request, status: int = 206, etag: str = '"one"', said: str = "", body: bytes | None = None) -> bytes:
    """The slice that the request asks for."""
    first, last = (int(number) for number in request.header("range").removeprefix("bytes=").split("-"))
    last = min(last, len(BODY) - 1)
    said = said or f"bytes {first}-{last}/{len(BODY)}"
    return reply(status, BODY[first:last + 1] if body is None else body, [("Content-Range", said), ("ETag", etag)])


def is_first(request) -> bool:
    return request.header("range").startswith("bytes=0-")


def test_the_slices_become_one_response(gatehouse, make_origin):
    origin = make_origin()
    origin.answer = part
    server = gatehouse(CONFIGURATION, origin=origin.port)
    response = server.request("/x")
    assert (response.status, response.body, response.header("content-length")) == (200, BODY, "1000")
    assert [request.header("range") for request in origin.requests] == ["bytes=0-299", "bytes=300-599", "bytes=600-899", "bytes=900-1199"]


def test_a_range_fetches_the_slices_it_lies_in(gatehouse, make_origin):
    origin = make_origin()
    origin.answer = part
    server = gatehouse(CONFIGURATION, origin=origin.port)
    response = server.request("/x", headers={"Range": "bytes=590-610"})
    assert (response.status, response.body) == (206, BODY[590:611])
    assert [request.header("range") for request in origin.requests] == ["bytes=300-599", "bytes=600-899"]


@pytest.mark.parametrize("said", ["", "bytes 0-299/*", "bytes 1-300/1000", "bytes 0-98/1000", "nonsense"], ids=["none", "no_length", "elsewhere", "short", "nonsense"])
def test_a_first_slice_that_is_none_is_a_bad_gateway(gatehouse, make_origin, said):
    origin = make_origin()
    origin.answer = lambda request: reply(206, BODY[:300], [("Content-Range", said)] if said else [])
    server = gatehouse(CONFIGURATION, origin=origin.port)
    assert server.request("/x").status == 502
    server.wait_for_log(r"in slice response")


@pytest.mark.parametrize(("later", "told"), [
    ({"etag": '"two"'}, "etag mismatch in slice response"),
    ({"status": 200}, "unexpected status code 200 in slice response"),
    ({"said": "bytes 301-599/1000"}, "unexpected range in slice response: 301-600"),
    ({"status": 503, "body": b""}, "unexpected status code 503 in slice response"),
], ids=["other_etag", "whole", "elsewhere", "error"])
def test_a_later_slice_that_does_not_fit_cuts_the_response(gatehouse, make_origin, later, told):
    origin = make_origin()
    origin.answer = lambda request: part(request) if is_first(request) else part(request, **later)
    server = gatehouse(CONFIGURATION, origin=origin.port)
    with pytest.raises(Closed):
        server.request("/x")
    server.wait_for_log(told)


def test_an_origin_without_ranges_is_passed_on_whole(gatehouse, make_origin):
    origin = make_origin()
    origin.answer = lambda request: reply(200, BODY)
    server = gatehouse(CONFIGURATION, origin=origin.port)
    response = server.request("/x")
    assert (response.status, response.body, len(origin.requests)) == (200, BODY, 1)


def test_slices_outlast_an_origin_that_went_away(gatehouse, make_origin):
    origin = make_origin()
    origin.answer = part
    server = gatehouse("""proxy_cache_path @dir@/cache keys_zone=zone:1m;
server { listen 127.0.0.1:@http@;
  location / { slice 300; proxy_cache zone; proxy_cache_valid 206 1h; proxy_cache_key $uri$slice_range; proxy_set_header Range $slice_range;
    proxy_pass http://127.0.0.1:@origin@; } }""", origin=origin.port)
    assert server.request("/x").body == BODY
    origin.stop()
    assert server.request("/x").body == BODY
    assert server.request("/x", headers={"Range": "bytes=899-901"}).body == BODY[899:902]
