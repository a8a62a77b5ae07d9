"""A client that sends exactly the bytes it is told to, and a response reader that forgives nothing."""

import dataclasses
import socket
import ssl
import time
from collections.abc import Iterable


class FramingError(AssertionError):
    """The server sent something that RFC 9112 does not allow, or that this client refuses to guess about."""


class Closed(AssertionError):
    """The server closed the connection before a whole response had come."""


@dataclasses.dataclass
class Response:
    """One final response, with the interim responses that came before it."""

    version: str
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    trailers: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    interim: list["Response"] = dataclasses.field(default_factory=list)
    framing: str = "none"  # none, length, chunked or close

    def all(self, name: str) -> list[str]:
        return [value for field, value in self.headers if field.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """The field's only value; None without one, and a failure when there are several."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def closes(self) -> bool:
        return "close" in [option.strip().lower() for value in self.all("connection") for option in value.split(",")]


def parse_head(head: bytes) -> tuple[str, list[tuple[str, str]]]:
    """First line and fields of a head without its final empty line; strict about line ends and field syntax."""
    lines = head.split(b"\r\n")
    fields = []
    for line in lines:
        if b"\r" in line or b"\n" in line or b"\0" in line:
            raise FramingError(f"stray control byte in {line!r}")
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip() or b" " in name or b"\t" in name:
            raise FramingError(f"bad field line {line!r}")
        fields.append((name.decode("latin-1"), value.strip(b" \t").decode("latin-1")))
    return lines[0].decode("latin-1"), fields


class Client:
    """One connection. Methods raise Closed or TimeoutError rather than return half a message."""

    def __init__(self, port: int, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, server_name: str | None = None,
                 timeout: float = 20.0, receive_buffer: int | None = None) -> None:
        raw = socket.socket()
        if receive_buffer is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        raw.settimeout(timeout)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.connect((host, port))
        self.socket = tls.wrap_socket(raw, server_hostname=server_name) if tls else raw
        self.buffer = b""
        self.local_port = raw.getsockname()[1] if not tls else self.socket.getsockname()[1]

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Closes with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.socket.close()

    def finish(self) -> None:
        """Closes the sending side only."""
        self.socket.shutdown(socket.SHUT_WR)

    # --- sending ---------------------------------------------------------------------------------------------------------------

    def send(self, *pieces: bytes | str, pause: float = 0.0) -> None:
        """Sends the pieces in order, with a pause between them (seconds). Text is sent as Latin-1."""
        for index, piece in enumerate(pieces):
            if index and pause:
                time.sleep(pause)
            self.socket.sendall(piece if isinstance(piece, bytes) else piece.encode("latin-1"))

    def send_bytewise(self, message: bytes, pause: float = 0.001) -> None:
        self.send(*(message[i:i + 1] for i in range(len(message))), pause=pause)

    def send_request(self, target: str = "/", *, method: str = "GET", host: str | None = "localhost",
                     headers: dict[str, str] | Iterable[tuple[str, str]] | None = None, body: bytes | None = None,
                     close: bool = False) -> None:
        fields = [("Host", host)] if host is not None else []
        fields += list(headers.items() if isinstance(headers, dict) else headers or [])
        if body is not None and not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in fields):
            fields.append(("Content-Length", str(len(body))))
        if close:
            fields.append(("Connection", "close"))
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields) + "\r\n"
        self.send(head.encode("latin-1") + (body or b""))

    def request(self, target: str = "/", *, method: str = "GET", host: str | None = "localhost",
                headers: dict[str, str] | Iterable[tuple[str, str]] | None = None, body: bytes | None = None,
                close: bool = False) -> Response:
        self.send_request(target, method=method, host=host, headers=headers, body=body, close=close)
        return self.read_response(method)

    # --- receiving -------------------------------------------------------------------------------------------------------------

    def read_response(self, method: str = "GET") -> Response:
        """The next final response; interim ones are collected in it. A 101 is final."""
        interim = []
        while True:
            response = self.read_head()
            if 100 <= response.status < 200 and response.status != 101:
                interim.append(response)
                continue
            response.interim = interim
            self._read_body(response, method)
            return response

    def read_head(self) -> Response:
        line, fields = parse_head(self._read_until(b"\r\n\r\n")[:-4])
        version, _, rest = line.partition(" ")
        status, _, reason = rest.partition(" ")
        if version not in ("HTTP/1.1", "HTTP/1.0") or len(status) != 3 or not status.isdigit():
            raise FramingError(f"bad status line {line!r}")
        return Response(version, int(status), reason, fields)

    def _read_body(self, response: Response, method: str) -> None:
        lengths, codings = response.all("content-length"), response.all("transfer-encoding")
        if lengths and codings:
            raise FramingError("a response with both Content-Length and Transfer-Encoding")
        if method == "HEAD" or response.status in (204, 304) or response.status == 101 or (method == "CONNECT" and response.status < 300):
            if response.status in (101, 204) and (lengths or codings):
                raise FramingError(f"a {response.status} with a body's length")
            return
        if codings:
            if codings != ["chunked"]:
                raise FramingError(f"Transfer-Encoding {codings}")
            response.framing = "chunked"
            response.body, response.trailers = self._read_chunked()
        elif lengths:
            if len(lengths) != 1 or not lengths[0].isdigit():
                raise FramingError(f"Content-Length {lengths}")
            response.framing = "length"
            response.body = self.read_exactly(int(lengths[0]))
        else:
            response.framing = "close"
            response.body = self.read_to_end()

    def _read_chunked(self) -> tuple[bytes, list[tuple[str, str]]]:
        body = bytearray()
        while True:
            size = self._read_until(b"\r\n")[:-2].partition(b";")[0]
            if not size or any(byte not in b"0123456789abcdefABCDEF" for byte in size):
                raise FramingError(f"chunk size {size!r}")
            length = int(size, 16)
            if length == 0:
                break
            body += self.read_exactly(length)
            if self.read_exactly(2) != b"\r\n":
                raise FramingError("a chunk that does not end in CRLF")
        trailer = b"\r\n"
        while not trailer.endswith(b"\r\n\r\n"):
            trailer += self._read_until(b"\r\n")
        return bytes(body), parse_head(trailer[:-4])[1] if trailer != b"\r\n\r\n" else []

    def read_exactly(self, size: int) -> bytes:
        pieces, missing = [self.buffer[:size]], size - len(self.buffer)
        self.buffer = self.buffer[size:]
        while missing > 0:
            piece = self._receive(min(missing, 1 << 20))
            if not piece:
                raise Closed(f"closed with {missing} of {size} bytes missing")
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def _read_until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            piece = self._receive(65536)
            if not piece:
                raise Closed(f"closed after {self.buffer[:200]!r}")
            self.buffer += piece
        found, _, self.buffer = self.buffer.partition(mark)
        return found + mark

    def _receive(self, size: int) -> bytes:
        """Some bytes; none at the end, be it a FIN or a reset."""
        try:
            return self.socket.recv(size)
        except (ConnectionResetError, ssl.SSLEOFError):
            return b""

    def read_to_end(self) -> bytes:
        """Everything until the server closes; a reset ends it too."""
        while True:
            piece = self._receive(1 << 16)
            if not piece:
                break
            self.buffer += piece
        everything, self.buffer = self.buffer, b""
        return everything

    def assert_closed(self, timeout: float = 5.0) -> None:
        """Fails unless the server closes the connection within the time, having sent nothing more."""
        before, deadline = self.socket.gettimeout(), time.monotonic() + timeout
        self.socket.settimeout(timeout)
        try:
            rest = self.read_to_end()
        except TimeoutError:
            raise AssertionError(f"the connection was still open after {timeout:g} s") from None
        finally:
            self.socket.settimeout(before)
        assert rest == b"", f"more came before the end: {rest[:300]!r}"
        assert time.monotonic() < deadline + 1

    def assert_open(self, quiet: float = 0.3) -> None:
        """Fails if the server closes or sends anything within the time."""
        before = self.socket.gettimeout()
        self.socket.settimeout(quiet)
        try:
            piece = self.socket.recv(4096)
        except TimeoutError:
            return
        finally:
            self.socket.settimeout(before)
        raise AssertionError(f"not left open and quiet: got {piece[:300]!r}")
