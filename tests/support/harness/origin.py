"""Origin servers for the tests: they record exactly what reached them, and answer whatever a test tells them to.

All origins of a test process share one asyncio loop in a thread of its own. A handler is a coroutine function that takes a
Connection; `Origin.echo` is the usual one.
"""

import asyncio
import base64
import contextlib
import dataclasses
import json
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable

from .client import FramingError, parse_head


@dataclasses.dataclass
class Request:
    """One request as it reached the origin: every byte of the head in order, the body put together, its framing."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes
    trailers: list[tuple[str, str]]
    framing: str  # none, length or chunked
    connection: int

    @property
    def method(self) -> str:
        return self.line.split(" ")[0]

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]

    def all(self, name: str) -> list[str]:
        return [value for field, value in self.headers if field.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        values = self.all(name)
        assert len(values) <= 1, f"{name} reached the origin {len(values)} times: {values}"
        return values[0] if values else None


class Connection:
    """One accepted connection, with a reader that is as strict as the tests' client."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number, self.reader, self.writer = number, reader, writer

    async def read_head(self) -> tuple[str, list[tuple[str, str]]] | None:
        """The next request's first line and fields; None when the peer closed between requests."""
        try:
            return parse_head((await self.reader.readuntil(b"\r\n\r\n"))[:-4])
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise FramingError(f"closed inside a head: {error.partial[:200]!r}") from None
            return None

    async def read_request(self) -> Request | None:
        head = await self.read_head()
        if head is None:
            return None
        line, fields = head
        body, trailers, framing = await self.read_body(fields)
        return Request(line, fields, body, trailers, framing, self.number)

    async def read_body(self, fields: list[tuple[str, str]]) -> tuple[bytes, list[tuple[str, str]], str]:
        lengths = [value for name, value in fields if name.lower() == "content-length"]
        codings = [value for name, value in fields if name.lower() == "transfer-encoding"]
        if lengths and codings or len(lengths) > 1 or len(codings) > 1:
            raise FramingError(f"ambiguous framing reached the origin: {lengths} {codings}")
        if codings:
            if codings != ["chunked"]:
                raise FramingError(f"Transfer-Encoding {codings} reached the origin")
            body, trailers = await self._read_chunked()
            return body, trailers, "chunked"
        if lengths:
            if not lengths[0].isdigit() or lengths[0] != str(int(lengths[0])):
                raise FramingError(f"Content-Length {lengths[0]!r} reached the origin")
            return await self.reader.readexactly(int(lengths[0])), [], "length"
        return b"", [], "none"

    async def _read_chunked(self) -> tuple[bytes, list[tuple[str, str]]]:
        body = bytearray()
        while True:
            size = (await self.reader.readuntil(b"\r\n"))[:-2]
            if not size or any(byte not in b"0123456789abcdefABCDEF" for byte in size):
                raise FramingError(f"chunk line {size!r} reached the origin")
            length = int(size, 16)
            if length == 0:
                break
            body += await self.reader.readexactly(length)
            if await self.reader.readexactly(2) != b"\r\n":
                raise FramingError("a chunk that does not end in CRLF reached the origin")
        trailer = b"\r\n"
        while not trailer.endswith(b"\r\n\r\n"):
            trailer += await self.reader.readuntil(b"\r\n")
        return bytes(body), parse_head(trailer[:-4])[1] if trailer != b"\r\n\r\n" else []

    async def send(self, *pieces: bytes, pause: float = 0.0) -> None:
        for index, piece in enumerate(pieces):
            if index and pause:
                await asyncio.sleep(pause)
            self.writer.write(piece)
            await self.writer.drain()

    async def reply(self, status: int = 200, body: bytes = b"", headers: list[tuple[str, str]] | None = None) -> None:
        await self.send(reply(status, body, headers))

    def reset(self) -> None:
        """Closes with RST."""
        raw = self.writer.get_extra_info("socket")
        if raw.fileno() < 0:
            return  # the transport has closed it already
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.writer.transport.abort()


Handler = Callable[[Connection], Awaitable[None]]


def reply(status: int = 200, body: bytes = b"", headers: list[tuple[str, str]] | None = None) -> bytes:
    """A whole response with a Content-Length."""
    fields = [*(headers or []), ("Content-Length", str(len(body)))]
    return f"HTTP/1.1 {status} Reason\r\n".encode() + b"".join(f"{n}: {v}\r\n".encode() for n, v in fields) + b"\r\n" + body


class _Loop:
    """The asyncio loop that every origin of this process lives on, in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="origins", daemon=True).start()

    def run(self, coroutine: Awaitable, timeout: float = 30.0):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)


_shared: list[_Loop] = []


def _loop() -> _Loop:
    if not _shared:
        _shared.append(_Loop())
    return _shared[0]


class Origin:
    """A listening origin. `requests` holds what `echo` received; `errors` what went wrong while it read, which fails the test."""

    def __init__(self, handler: Handler | None = None, *, name: str = "origin", tls: ssl.SSLContext | None = None,
                 port: int = 0) -> None:
        self.name = name
        self.handler = handler or self.echo
        self.requests: list[Request] = []
        self.errors: list[str] = []
        self.connections = 0
        self.answer: Callable[[Request], bytes] = self.describe
        self._tls, self._open = tls, set()
        self._server: asyncio.Server | None = None
        self.port = port
        self.start()

    def start(self) -> None:
        """Listens (again) on its port."""
        self._server = _loop().run(asyncio.start_server(self._accepted, "127.0.0.1", self.port, ssl=self._tls, backlog=4096,
                                                        limit=1 << 20))
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Stops listening and resets every connection, as a killed process would."""
        async def stop() -> None:
            self._server.close()
            for connection in list(self._open):
                connection.reset()
        _loop().run(stop())

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = Connection(self.connections, reader, writer)
        self._open.add(connection)
        try:
            await self.handler(connection)
        except FramingError as error:
            self.errors.append(str(error))
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the peer went away: many tests make it do so
        finally:
            self._open.discard(connection)
            writer.close()
            with contextlib.suppress(Exception):
                await writer.wait_closed()

    @property
    def open_connections(self) -> int:
        return len(self._open)

    async def echo(self, connection: Connection) -> None:
        """Answers each request of a connection with what `answer` makes of it."""
        while request := await connection.read_request():
            self.requests.append(request)
            await connection.send(self.answer(request))
            wish = (request.header("connection") or "").lower()
            if "close" in wish or (request.line.endswith("HTTP/1.0") and "keep-alive" not in wish):
                return

    def describe(self, request: Request) -> bytes:
        """A 200 whose JSON body says exactly what arrived."""
        told = {"origin": self.name, "line": request.line, "headers": request.headers, "trailers": request.trailers,
                "framing": request.framing, "connection": request.connection, "body": base64.b64encode(request.body).decode()}
        return reply(200, json.dumps(told).encode(), [("Content-Type", "application/json"), ("X-Origin", self.name)])
