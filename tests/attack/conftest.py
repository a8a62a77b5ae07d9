"""One plain server in front of an origin, shared by the tests of a file, and what it means that a message is refused."""

import pytest

SERVER = """
server {
    listen 127.0.0.1:@http@;
    client_body_timeout 5s;
    location / { proxy_pass http://127.0.0.1:@origin@; proxy_set_header Host $host; proxy_set_header X-Real-IP $remote_addr; }
    location /admin { return 403; }
    location = /own { return 200 "own"; }
}
"""
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


class Front:
    """A server and the origin behind it."""

    def __init__(self, server, origin):
        self.server, self.origin = server, origin

    def refused(self, message: bytes, status: int, *, smuggled: bytes = SMUGGLED) -> None:
        """The message, with another request behind it, gets the status and the end of the connection, and none of it is passed on."""
        seen = len(self.origin.requests)
        client = self.server.connect()
        client.send(message + smuggled)
        response = client.read_response()
        assert response.status == status, f"{message[:200]!r} got {response.status}"
        assert response.closes, f"{message[:200]!r}: the answer does not announce the end of the connection"
        client.assert_closed()
        client.close()
        assert len(self.origin.requests) == seen, f"{message[:200]!r} reached the origin: {self.origin.requests[-1].line}"

    def answered(self, message: bytes, status: int) -> None:
        """The message gets the status and is not passed on; the connection may go on."""
        seen = len(self.origin.requests)
        client = self.server.connect()
        client.send(message)
        response = client.read_response(message.split(b" ")[0].decode("latin-1"))
        assert response.status == status, f"{message[:200]!r} got {response.status}"
        client.close()
        assert len(self.origin.requests) == seen, f"{message[:200]!r} reached the origin"

    def forwarded(self, message: bytes, method: str = "GET"):
        """The message gets 200 from the origin, and a request behind it on the same connection too; the request as it arrived."""
        client = self.server.connect()
        client.send(message)
        response = client.read_response(method)
        assert response.status == 200, f"{message[:200]!r} got {response.status}"
        request = self.origin.requests[-1]
        assert client.request("/after").status == 200
        assert self.origin.requests[-1].target == "/after"
        client.close()
        return request


@pytest.fixture(scope="module")
def front(shared_gatehouse, make_shared_origin) -> Front:
    origin = make_shared_origin()
    return Front(shared_gatehouse(SERVER, origin=origin.port), origin)
