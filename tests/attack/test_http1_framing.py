"""Hostile HTTP/1.1 framing: lengths, transfer codings and chunks that two parsers could read in two ways (rows 1-13, 41-50)."""

import time

import pytest

from harness.server import is_sanitized

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


def post(*fields: bytes, body: bytes = b"") -> bytes:
    return POST + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


@pytest.mark.parametrize("fields", [(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
                                    (b"Transfer-Encoding: chunked", b"Content-Length: 5"),
                                    (b"Content-Length: 0", b"Transfer-Encoding: chunked")])
def test_row_01_length_and_chunked_together(front, fields):
    """Row 1: Content-Length and Transfer-Encoding together, in either order."""
    front.refused(post(*fields, body=b"0\r\n\r\n"), 400)


def test_row_02_two_different_lengths(front):
    """Row 2: two Content-Length lines that differ."""
    front.refused(post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello"), 400)


@pytest.mark.parametrize("fields", [(b"Content-Length: 5", b"Content-Length: 5"), (b"Content-Length: 5, 5",), (b"Content-Length: 5,5",)])
def test_row_03_the_same_length_twice(front, fields):
    """Row 3: the same Content-Length twice, as lines or as a list."""
    front.refused(post(*fields, body=b"hello"), 400)


@pytest.mark.parametrize("value", [b"+5", b"-1", b"0x5", b"1_0", b"5 5", b"5;", b"", b"5.0", b"five", b"\xb2", b"5\t5"])
def test_row_04_length_is_not_a_number(front, value):
    """Row 4: a Content-Length that is anything but digits."""
    front.refused(post(b"Content-Length: " + value, body=b"hello"), 400)


@pytest.mark.parametrize("value", [b"10000000000000000000", b"99999999999999999999999", b"9223372036854775808", b"18446744073709551621"])
def test_row_05_length_overflows(front, value):
    """Row 5: a Content-Length of 20 and more digits, or above 2^63 - 1."""
    front.refused(post(b"Content-Length: " + value, body=b"hello"), 400)


def test_row_06_length_with_a_leading_zero_is_decimal(front):
    """Row 6: `010` is ten, and goes on as 10."""
    request = front.forwarded(post(b"Content-Length: 010", body=b"0123456789"))
    assert request.body == b"0123456789"
    assert request.header("content-length") == "10"


@pytest.mark.parametrize("value", [b"xchunked", b"gzip", b"identity"])
def test_row_07_unknown_coding(front, value):
    """Row 7: a transfer coding that is not implemented."""
    front.refused(post(b"Transfer-Encoding: " + value, body=b"0\r\n\r\n"), 501)


def test_row_08_chunked_is_not_last(front):
    """Row 8: chunked before another coding leaves the body's end open."""
    front.refused(post(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"), 400)


@pytest.mark.parametrize("fields", [(b"Transfer-Encoding: chunked, chunked",),
                                    (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
                                    (b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity")])
def test_row_09_chunked_twice(front, fields):
    """Row 9: chunked twice, or two Transfer-Encoding lines."""
    front.refused(post(*fields, body=b"0\r\n\r\n"), 400)


@pytest.mark.parametrize("value", [b",chunked", b"chunked,", b"chunked;a=b"])
def test_row_10_empty_element_or_parameter(front, value):
    """Row 10: list elements that are empty, and a parameter."""
    front.refused(post(b"Transfer-Encoding: " + value, body=b"0\r\n\r\n"), 400)


@pytest.mark.parametrize("value", [b"chunked\x0b", b"\x0bchunked", b"chunked\x0c", b"\x0cchunked", b"chunked\0", b"\0chunked",
                                   b"chunked\xa0", b"\xa0chunked"])
def test_row_11_odd_white_space_in_the_coding(front, value):
    """Row 11: VT, FF, NUL or a no-break space beside the coding."""
    front.refused(post(b"Transfer-Encoding: " + value, body=b"0\r\n\r\n"), 400)


@pytest.mark.parametrize("field", [b"Transfer-Encoding : chunked", b"Transfer-Encoding\t: chunked", b"Content-Length : 5"])
def test_row_12_space_before_the_colon(front, field):
    """Row 12: white space between name and colon."""
    front.refused(post(field, body=b"0\r\n\r\n"), 400)


def test_row_13_chunked_in_http_1_0(front):
    """Row 13: HTTP/1.0 has no transfer codings."""
    front.refused(b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400)


@pytest.mark.parametrize("size", [b"0x5", b"+5", b"-1", b"5_0", b" 5", b"5 ", b"", b"G", b"5\t"])
def test_row_41_chunk_size_is_not_a_number(front, size):
    """Row 41: a chunk size that is anything but hexadecimal digits."""
    front.refused(chunked(size + b"\r\nhello\r\n0\r\n\r\n"), 400)


@pytest.mark.parametrize("size", [b"10000000000000005", b"00000000000000005", b"fffffffffffffffff"])
def test_row_42_chunk_size_overflows(front, size):
    """Row 42: a chunk size of 17 digits, even when its value would fit."""
    front.refused(chunked(size + b"\r\nhello\r\n0\r\n\r\n"), 400)


@pytest.mark.parametrize("body", [b"5\nhello\r\n0\r\n\r\n", b"5\rhello\r\n0\r\n\r\n", b"5;\nhello\r\n0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n",
                                  b"5\r\nhello\r\n0\n\r\n", b"5\r\nhello\r\n0\r\n\n"])
def test_row_43_chunk_line_without_crlf(front, body):
    """Row 43: chunk lines that end in LF or CR alone."""
    front.refused(chunked(body), 400)


@pytest.mark.parametrize("extension", [b"a=\x01", b"a=\rb", b"a=\0", b"a=\x7f", b"a=" + b"b" * 4200],
                         ids=["control", "CR", "NUL", "DEL", "longer than 4 kB"])
def test_row_44_chunk_extension(front, extension):
    """Row 44: control bytes in a chunk extension, and one of more than 4 kB."""
    front.refused(chunked(b"5;" + extension + b"\r\nhello\r\n0\r\n\r\n"), 400)


def test_row_44_chunk_extensions_together(front):
    """Row 44: extensions of more than 16 kB in all the chunks together."""
    front.refused(chunked(b"".join(b"1;a=" + b"b" * 3000 + b"\r\nx\r\n" for _ in range(6)) + b"0\r\n\r\n"), 400)


def test_row_44_modest_chunk_extensions_are_dropped(front):
    """Row 44: below the limits an extension is legal, and it is not passed on (the origin's reader would refuse it)."""
    request = front.forwarded(chunked(b'5;a=b;c="d e"\r\nhello\r\n0;last\r\n\r\n'))
    assert request.body == b"hello"


@pytest.mark.parametrize("body", [b"5\r\nhelloXX\r\n0\r\n\r\n", b"3\r\nhello\r\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"5\r\nhello\r0\r\n\r\n"])
def test_row_45_chunk_data_without_crlf(front, body):
    """Row 45: chunk data that is longer than its size says, or not followed by CRLF."""
    front.refused(chunked(body), 400)


def test_row_46_a_megabyte_in_one_byte_chunks(front):
    """Row 46: a legal body in the costliest form works, and costs little memory."""
    before = front.server.memory()
    client = front.server.connect(timeout=50)
    client.send(chunked(b""))
    for _ in range(64):
        client.send(b"1\r\nx\r\n" * 16384)
    client.send(b"0\r\n\r\n")
    assert client.read_response().status == 200
    client.close()
    assert front.origin.requests[-1].body == b"x" * (1 << 20)
    assert front.server.memory() - before < (96 if is_sanitized() else 32) << 20


@pytest.mark.parametrize("trailer", [b"Content-Length: 3", b"Transfer-Encoding: chunked", b"Host: evil", b"Authorization: Basic eA==",
                                     b"X-Forwarded-For: 6.6.6.6"])
def test_row_47_trailer_that_must_not_count(front, trailer):
    """Row 47: fields of framing, routing and trust in a trailer are dropped, never merged into the head."""
    request = front.forwarded(chunked(b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n\r\n"))
    name, _, value = trailer.decode().partition(": ")
    assert request.body == b"hello"
    assert (name.lower(), value) not in [(field.lower(), text) for field, text in request.headers if field.lower() != "transfer-encoding"]
    assert name.lower() not in [field.lower() for field, _ in request.trailers]


@pytest.mark.parametrize(("trailer", "status"), [(b"X: " + b"y" * 8300, 431), (b"X y: z", 400), (b" X: y", 400), (b"X: a\0b", 400),
                                                 (b"no colon", 400), (b"X: a\n Y: b", 400)],
                         ids=["9 kB", "space in the name", "folded", "NUL", "no colon", "LF"])
def test_row_48_bad_trailers(front, trailer, status):
    """Row 48: trailers over 8 kB, or of bad syntax."""
    front.refused(chunked(b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n\r\n"), status)


def test_row_48_many_trailers(front):
    """Row 48: trailers over 8 kB together."""
    front.refused(chunked(b"0\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"y" * 900) for i in range(10)) + b"\r\n"), 431)


@pytest.mark.parametrize("message", [post(b"Content-Length: 10", body=b"01234"), chunked(b"a\r\n01234"), chunked(b"5\r\n01234\r\n")])
def test_row_49_body_ends_early(front, message):
    """Row 49: the client goes away inside a buffered body: nothing is passed on, and the log says 499."""
    seen, logged = len(front.origin.requests), len([line for line in front.server.access_log() if '" 499 ' in line])
    client = front.server.connect()
    client.send(message)
    client.close()
    front.server.wait_for_access('" 499 ', count=logged + 1)
    assert len(front.origin.requests) == seen


def test_row_49_unbuffered_body_ends_early(gatehouse, make_origin):
    """Row 49: when the body is passed on as it comes, the origin sees the connection end inside it."""
    ends = []

    async def handler(connection):
        await connection.read_head()
        try:
            await connection.reader.readexactly(10)
            ends.append("whole")
        except Exception as error:
            ends.append(type(error).__name__)

    server = gatehouse("""server { listen 127.0.0.1:@http@; proxy_request_buffering off;
                          location / { proxy_pass http://127.0.0.1:@origin@; } }""", origin=make_origin(handler).port)
    client = server.connect()
    client.send(post(b"Content-Length: 10", body=b"01234"))
    deadline = time.monotonic() + 5
    time.sleep(0.2)
    client.close()
    while not ends and time.monotonic() < deadline:
        time.sleep(0.02)
    assert ends and ends[0] in ("IncompleteReadError", "ConnectionResetError")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
@pytest.mark.parametrize("form", ["length", "chunked"])
def test_row_50_body_on_a_method_that_has_none(front, method, form):
    """Row 50: a body on GET, HEAD or OPTIONS is framed like any other, and never read as the next request."""
    inner = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    head = f"{method} /outer HTTP/1.1\r\nHost: a\r\n".encode()
    if form == "length":
        message = head + b"Content-Length: %d\r\n\r\n" % len(inner) + inner
    else:
        message = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(inner) + inner + b"\r\n0\r\n\r\n"
    seen = len(front.origin.requests)
    front.origin.answer = lambda request: b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    try:
        front.forwarded(message, method)
    finally:
        front.origin.answer = front.origin.describe
    assert [request.target for request in front.origin.requests[seen:]] == ["/outer", "/after"]
