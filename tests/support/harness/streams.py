"""Small TCP and UDP origins, for the tests of the stream block."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable


class TcpOrigin:
    """Accepts connections and runs `handler(socket)` on each in a thread of its own; without one it echoes."""

    def __init__(self, handler: Callable[[socket.socket], None] | None = None, *, tls: ssl.SSLContext | None = None,
                 port: int = 0) -> None:
        self.handler, self.tls = handler or echo, tls
        self.accepted = 0
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.accepted += 1
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection:
                self.handler(connection)

    def stop(self) -> None:
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


class UdpOrigin:
    """Calls `answer(datagram)` for each datagram; what it returns, bytes or a list of them, goes back."""

    def __init__(self, answer: Callable[[bytes], bytes | list[bytes] | None] | None = None) -> None:
        self.answer = answer or (lambda datagram: datagram)
        self.received: list[tuple[bytes, tuple]] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                datagram, sender = self._socket.recvfrom(65535)
                if sender is None:
                    return  # shut down
                self.received.append((datagram, sender))
                answers = self.answer(datagram)
                for one in [answers] if isinstance(answers, bytes) else answers or []:
                    self._socket.sendto(one, sender)

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def echo(connection: socket.socket) -> None:
    while received := connection.recv(65536):
        connection.sendall(received)


def read_all(connection: socket.socket) -> bytes:
    """Everything up to the end of the stream."""
    content = bytearray()
    while received := connection.recv(1 << 20):
        content += received
    return bytes(content)
