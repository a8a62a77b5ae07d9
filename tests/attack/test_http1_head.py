"""Hostile HTTP/1.1 heads: request lines, targets and fields (rows 14-40, 52, 55-57)."""

import pytest

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"


def line(request_line: bytes) -> bytes:
    return request_line + b"\r\nHost: a\r\n\r\n"


def get(*fields: bytes) -> bytes:
    return GET + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


# --- field lines ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [b"X: a\r\n b\r\n", b"X: a\r\n\tb\r\n", b"Transfer-Encoding:\r\n chunked\r\n", b"X: a\r\n  \r\n",
                                    b"Content-Length: 1\r\n 0\r\n"])
def test_row_14_folded_field(front, fields):
    """Row 14: obs-fold anywhere in a request."""
    front.refused(GET + fields + b"\r\n", 400)


@pytest.mark.parametrize("space", [b" ", b"\t"])
def test_row_15_white_space_before_the_first_field(front, space):
    """Row 15: space or tab before the first field."""
    front.refused(b"GET / HTTP/1.1\r\n" + space + b"Host: a\r\n\r\n", 400)


@pytest.mark.parametrize("field", [b"X: a\rb", b"X\rY: a", b"X: a\r", b"\rX: a", b"X:\ra"])
def test_row_16_bare_cr(front, field):
    """Row 16: a CR that no LF follows, in a name or a value."""
    front.refused(get(field), 400)


@pytest.mark.parametrize("byte", [bytes([code]) for code in (0, 1, 8, 11, 12, 14, 27, 31, 127)])
def test_row_17_control_byte_in_a_value(front, byte):
    """Row 17: NUL or another control byte in a value."""
    front.refused(get(b"X: a" + byte + b"b"), 400)


@pytest.mark.parametrize("message", [b"GET / HTTP/1.1\r\nHost: a\r\nX: y\n\r\n", b"GET / HTTP/1.1\nHost: a\r\n\r\n",
                                     b"GET / HTTP/1.1\r\nHost: a\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\n"])
def test_row_18_bare_lf(front, message):
    """Row 18: LF alone as a line end."""
    front.refused(message, 400)


@pytest.mark.parametrize("field", [b"no colon", b"nocolon", b": x", b":"])
def test_row_19_no_colon_or_no_name(front, field):
    """Row 19: a line without colon, and an empty name."""
    front.refused(get(field), 400)


@pytest.mark.parametrize("name", [b'a"b', b"a@b", b"a b", b"a\x80b", b"\xffa", b"a(b", b"a/b", b"a=b", b"a{b", b"a\x7fb", b"a\0b"])
def test_row_20_name_is_not_a_token(front, name):
    """Row 20: a field name with a byte that no token has."""
    front.refused(get(name + b": x"), 400)


def test_row_21_no_host(front):
    """Row 21: HTTP/1.1 without Host."""
    front.refused(b"GET / HTTP/1.1\r\n\r\n", 400)


@pytest.mark.parametrize("second", [b"a", b"b"])
def test_row_22_two_hosts(front, second):
    """Row 22: two Host lines, even equal ones."""
    front.refused(get(b"Host: " + second), 400)


@pytest.mark.parametrize("host", [b"a b", b"a/b", b"u@a", b"a,b", b"a:99999", b"[::1", b"a:b", b"a:80:80", b"a\\b", b"a?b", b"a#b", b"[::g]"])
def test_row_23_bad_host(front, host):
    """Row 23: a Host that names no host, or whose port is none."""
    front.refused(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n", 400)


def test_row_24_absolute_form_outweighs_host(front):
    """Row 24: the target's authority counts, and exactly one Host goes on."""
    request = front.forwarded(b"GET http://b.example/x?y HTTP/1.1\r\nHost: a.example\r\n\r\n")
    assert request.line == "GET /x?y HTTP/1.1"
    assert request.all("host") == ["b.example"]


# --- request line --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_line", [b"GET  / HTTP/1.1", b"GET /  HTTP/1.1", b"GET\t/ HTTP/1.1", b"GET /\tHTTP/1.1",
                                          b" GET / HTTP/1.1", b"GET / HTTP/1.1 ", b"GET /\x0bHTTP/1.1"])
def test_row_25_odd_white_space_in_the_request_line(front, request_line):
    """Row 25: anything but one space between the parts."""
    front.refused(line(request_line), 400)


@pytest.mark.parametrize("message", [b"GET /\r\n", b"GET /\r\n\r\n", b"GET / \r\n\r\n"])
def test_row_26_no_version(front, message):
    """Row 26: HTTP/0.9."""
    front.refused(message, 400)


@pytest.mark.parametrize("version", [b"HTTP/2.0", b"HTTP/3.0", b"HTTP/9.9"])
def test_row_27_unsupported_version(front, version):
    """Row 27: a major version that is not spoken here."""
    front.refused(line(b"GET / " + version), 505)


@pytest.mark.parametrize("version", [b"http/1.1", b"HTTP/1", b"HTTP/01.1", b"HTTP/1.01", b"HTTP/1.", b"HTTP/1.1x", b"HTTPS/1.1", b"HTTP/+1.1",
                                     b"HTTP/1,1"])
def test_row_28_malformed_version(front, version):
    """Row 28: something that only looks like a version."""
    front.refused(line(b"GET / " + version), 400)


def test_row_29_higher_minor_version(front):
    """Row 29: HTTP/1.2 is treated as 1.1."""
    request = front.forwarded(line(b"GET /x HTTP/1.2"))
    assert request.line == "GET /x HTTP/1.1"


def test_row_30_http2_preface_on_an_http1_port(front):
    """Row 30: the HTTP/2 preface where only HTTP/1.1 is spoken."""
    front.refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, smuggled=b"")


@pytest.mark.parametrize("method", [b"G=T", b"G(T", b"GET\x01", b'"GET"', b"G\x80T", b"G,T"])
def test_row_31_method_is_not_a_token(front, method):
    """Row 31: a method with a byte that no token has."""
    front.refused(line(method + b" / HTTP/1.1"), 400)


@pytest.mark.parametrize("method", [b"FOO", b"PROPFIND", b"M-SEARCH"])
def test_row_31_unknown_method_goes_on(front, method):
    """Row 31: a method nobody here knows is the origin's affair."""
    request = front.forwarded(line(method + b" / HTTP/1.1"), method.decode())
    assert request.method == method.decode()


def test_row_31_lower_case_method(front):
    """Row 31: methods are case-sensitive: `get` is another method, passed on as it is or refused, and never turned into GET."""
    seen = len(front.origin.requests)
    client = front.server.connect()
    client.send(line(b"get / HTTP/1.1"))
    status = client.read_response().status
    client.close()
    reached = [request.method for request in front.origin.requests[seen:]]
    assert (status, reached) in [(200, ["get"]), (400, []), (501, [])]


@pytest.mark.parametrize("request_line", [b"TRACE / HTTP/1.1", b"CONNECT a:443 HTTP/1.1"])
def test_row_32_trace_and_connect(front, request_line):
    """Row 32: neither TRACE nor a tunnel is offered."""
    front.answered(line(request_line), 405)


def test_row_33_asterisk_with_get(front):
    """Row 33: `*` belongs to OPTIONS alone."""
    front.answered(line(b"GET * HTTP/1.1"), 400)


def test_row_33_asterisk_with_options(front):
    """Row 33: OPTIONS * is answered by the server itself or its origin."""
    client = front.server.connect()
    client.send(line(b"OPTIONS * HTTP/1.1"))
    assert 200 <= client.read_response().status < 300


@pytest.mark.parametrize("target", [b"/a b", b"/a\x01", b"/a\x1f", b"/a\x7f", b"/a\x80", b"/\xff", b"/a?b\x80", b"/a?b\x01", b"/\0"])
def test_row_34_raw_byte_in_the_target(front, target):
    """Row 34: a space, a control byte or a byte above 0x7e in the target."""
    front.refused(line(b"GET " + target + b" HTTP/1.1"), 400)


@pytest.mark.parametrize("target", [b"/#frag", b"/a?b#c", b"#", b"http://a/#x"])
def test_row_35_fragment(front, target):
    """Row 35: a fragment is never sent."""
    front.answered(line(b"GET " + target + b" HTTP/1.1"), 400)


@pytest.mark.parametrize("target", [b"/../x", b"/a/%2e%2e/%2e%2e/x", b"/a/../../x", b"/..", b"/%2E%2E", b"/a/..%2f../x"])
def test_row_36_above_the_root(front, target):
    """Row 36: a path that climbs above the root, escaped or not."""
    front.answered(line(b"GET " + target + b" HTTP/1.1"), 400)


@pytest.mark.parametrize("target", [b"/a%00", b"/%zz", b"/%", b"/%4", b"/%c0%af", b"/%e0%80%af", b"/%c0%ae%c0%ae/x", b"/%f0%80%80%af"])
def test_row_37_escape_that_means_nothing_good(front, target):
    """Row 37: an encoded NUL, an incomplete escape, and overlong UTF-8."""
    front.answered(line(b"GET " + target + b" HTTP/1.1"), 400)


@pytest.mark.parametrize("target", [b"/a%2f..%2fadmin", b"/a/..;/admin", b"/a/..;x=y/admin", b"/a/%2e%2e/admin", b"/./admin", b"//admin",
                                    b"/%61dmin", b"/a/..%3b/admin", b"/x/../admin/"])
def test_row_38_path_confusion_does_not_pass_a_rule(front, target):
    """Row 38: whatever an origin may read as /admin is matched as /admin here, where it is forbidden."""
    seen = len(front.origin.requests)
    client = front.server.connect()
    client.send(line(b"GET " + target + b" HTTP/1.1"))
    assert client.read_response().status in (400, 403)
    client.close()
    assert len(front.origin.requests) == seen


@pytest.mark.parametrize(("target", "sent"), [(b"/admin/..%2fpublic", None), (b"/a%20b/%7Ex", "/a%20b/%7Ex"), (b"/a//b", "/a//b"),
                                              (b"/a;v=1/b", "/a;v=1/b")])
def test_row_38_the_raw_form_goes_on_only_when_it_means_the_same(front, target, sent):
    """Row 38: the client's own spelling goes on if every origin reads it alike; otherwise the canonical form does."""
    request = front.forwarded(line(b"GET " + target + b" HTTP/1.1"))
    assert request.target == (sent or "/public")


def test_row_39_one_leading_crlf_is_skipped(front):
    """Row 39: one empty line before a request is an old client's habit."""
    front.forwarded(b"\r\n" + get())


@pytest.mark.parametrize("start", [b"  \r\n", b"\t\r\n", b"\n\r\r\n"])
def test_row_39_other_leading_bytes(front, start):
    """Row 39: a first line of white space is no empty line."""
    front.refused(start + get(), 400)


def test_row_40_a_hundred_pipelined_requests(front):
    """Row 40: pipelined requests are answered in their order, and the origin gets one after the other."""
    seen = len(front.origin.requests)
    client = front.server.connect()
    client.send(b"".join(line(b"GET /%d HTTP/1.1" % number) for number in range(100)))
    for number in range(100):
        assert f"GET /{number} HTTP/1.1" in client.read_response().body.decode()
    assert [request.target for request in front.origin.requests[seen:]] == [f"/{number}" for number in range(100)]


# --- semantics -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [b"x", b"100-continue, x", b"200-ok"])
def test_row_52_unknown_expectation(front, value):
    """Row 52: only 100-continue is understood."""
    front.answered(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: " + value + b"\r\nContent-Length: 2\r\n\r\nab", 417)


def test_row_55_upgrade_to_h2c_is_not_offered(front):
    """Row 55: the upgrade to clear-text HTTP/2 is removed and the request served as it is."""
    request = front.forwarded(get(b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__", b"Connection: Upgrade, HTTP2-Settings"))
    assert request.all("upgrade") == []
    assert request.all("http2-settings") == []
    assert "upgrade" not in ",".join(request.all("connection")).lower()


@pytest.mark.parametrize("option", [b"Host", b"Content-Length", b"X-Real-IP", b"close, Host", b"Transfer-Encoding", b"Authorization",
                                    b"Cookie", b"X-Forwarded-For"])
def test_row_56_connection_names_a_protected_field(front, option):
    """Row 56: a client cannot have fields of framing, identity and trust removed on the way."""
    seen = len(front.origin.requests)
    client = front.server.connect()
    client.send(get(b"Connection: " + option, b"Authorization: x", b"Cookie: a=b"))
    status = client.read_response().status
    client.close()
    if status == 400:
        assert len(front.origin.requests) == seen
    else:
        request = front.origin.requests[-1]
        assert status == 200
        assert request.all("host") and request.all("x-real-ip") and request.all("authorization") and request.all("cookie")


def test_row_56_other_named_fields_are_removed(front):
    """Row 56: what Connection names otherwise is hop-by-hop (RFC 9110 section 7.6.1)."""
    request = front.forwarded(get(b"Connection: X-Secret", b"X-Secret: 1", b"X-Public: 2"))
    assert request.all("x-secret") == []
    assert request.all("x-public") == ["2"]


def test_row_57_request_line_too_long(front):
    """Row 57: 8 KiB and one byte of request line."""
    request_line = b"GET /" + b"x" * (8193 - len(b"GET / HTTP/1.1")) + b" HTTP/1.1"
    assert len(request_line) == 8193
    front.refused(line(request_line), 414)


def test_row_57_endless_request_line(front):
    """Row 57: the limit is noticed before the line ends."""
    front.refused(b"GET /" + b"x" * 20000, 414, smuggled=b"")


def test_row_57_field_too_long(front):
    """Row 57: 8 KiB and one byte of field line."""
    front.refused(get(b"X: " + b"y" * 8190), 431)


def test_row_57_too_many_fields(front):
    """Row 57: a thousand and one fields."""
    front.refused(get(*(b"X: y" for _ in range(1001))), 431)


def test_row_62_a_thousand_overlapping_ranges(front):
    """Row 62: ranges cannot multiply a response: a reply of the proxy's own is whole or a 416."""
    ranges = b"Range: bytes=" + b",".join(b"0-%d" % end for end in range(1000))
    client = front.server.connect()
    client.send(b"GET /own HTTP/1.1\r\nHost: a\r\n" + ranges + b"\r\n\r\n")
    response = client.read_response()
    assert (response.status, response.body) == (200, b"own") or response.status == 416
