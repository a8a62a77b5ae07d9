"""As much of RFC 6455 as the tests need: an opening handshake on both sides, and unfragmented frames up to 64 KiB."""

import asyncio
import base64
import hashlib
import os
import struct

from .client import Client, Response
from .origin import Connection

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE = 1, 2, 8


def accept_key(key: str) -> str:
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()


def frame(payload: bytes, *, opcode: int = TEXT, masked: bool = True) -> bytes:
    length = len(payload)
    head = bytes([0x80 | opcode])
    bit = 0x80 if masked else 0
    head += bytes([bit | length]) if length < 126 else bytes([bit | 126]) + struct.pack(">H", length)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


class WebSocket:
    """The client's side, on a raw connection."""

    def __init__(self, client: Client, target: str = "/ws", *, early: bytes = b"", host: str = "localhost") -> None:
        self.client = client
        key = base64.b64encode(os.urandom(16)).decode()
        client.send(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode() + early)
        self.response: Response = client.read_response()
        if self.response.status == 101:
            assert self.response.header("sec-websocket-accept") == accept_key(key)

    def send(self, payload: bytes, opcode: int = TEXT) -> None:
        self.client.send(frame(payload, opcode=opcode))

    def receive(self) -> tuple[int, bytes]:
        head = self.client.read_exactly(2)
        length = head[1] & 0x7F
        if length == 126:
            length = struct.unpack(">H", self.client.read_exactly(2))[0]
        return head[0] & 0x0F, self.client.read_exactly(length)

    def echo(self, payload: bytes) -> None:
        """Sends and fails unless the same comes back."""
        self.send(payload)
        assert self.receive() == (TEXT, payload)


async def echo_origin(connection: Connection) -> None:
    """An origin's handler: accepts the upgrade and echoes each message until the peer closes."""
    head = await connection.read_head()
    if head is None:
        return
    fields = {name.lower(): value for name, value in head[1]}
    if "upgrade" not in fields or "sec-websocket-key" not in fields:
        await connection.reply(426, b"upgrade required\n", [("X-Target", head[0].split(" ")[1])])
        return
    await connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          b"Sec-WebSocket-Accept: " + accept_key(fields["sec-websocket-key"]).encode() + b"\r\n\r\n")
    while True:
        try:
            opcode, payload = await _read_frame(connection.reader)
        except asyncio.IncompleteReadError:
            return
        await connection.send(frame(payload, opcode=opcode, masked=False))
        if opcode == CLOSE:
            return


async def _read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readexactly(2)
    length = head[1] & 0x7F
    if length == 126:
        length = struct.unpack(">H", await reader.readexactly(2))[0]
    mask = await reader.readexactly(4) if head[1] & 0x80 else b"\0\0\0\0"
    payload = await reader.readexactly(length)
    return head[0] & 0x0F, bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
