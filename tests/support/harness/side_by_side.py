"""The same configuration under Debian's nginx and under Gatehouse, compared request by request.

A case is a configuration and what is asked of it. Compared are the status with its phrase, every header but Date and Server, and
the body; what must differ between two servers (ports, folders, names and versions) is replaced by its meaning first. A difference
that is wanted is listed in the case with its reason, and the test fails when it is gone, so that the list stays true.
"""

import dataclasses
import json
import os
import pathlib
import re

from .client import Response
from .origin import Request, reply
from .server import Server

# Files of a case get this time, so that Last-Modified and ETag can be compared.
FILE_TIME = 1_600_000_000
SERVER_NAME = re.compile(r"(?:nginx|gatehouse)(?:/[\d.]+)?", re.IGNORECASE)
IGNORED = {"date", "server"}
# What the origin does not tell of a request: the connection's own matters, in which the two servers' defaults differ by version.
UNTOLD = {"connection", "x-reply", "content-length", "transfer-encoding"}


@dataclasses.dataclass(frozen=True)
class Ask:
    """One request. `differs`: why Gatehouse answers it otherwise than nginx; "": it doesn't."""

    target: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    host: str = "www.example.com"
    port: str = "http"
    differs: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.target} {dict(self.headers)}"


@dataclasses.dataclass(frozen=True)
class Case:
    """A configuration (the http block's content) and the requests that are sent to it, in order."""

    name: str
    http: str
    asks: tuple[Ask, ...]
    files: dict[str, str | bytes] = dataclasses.field(default_factory=dict)
    main: str = ""

    def __str__(self) -> str:
        return self.name


def get(target: str, **options: object) -> Ask:
    """A GET; headers may be given as a dictionary."""
    headers = options.pop("headers", {})
    return Ask(target, headers=tuple(headers.items() if isinstance(headers, dict) else headers), **options)


def answered(target: str, status: int = 200, body: str = "", fields: dict[str, str] | list[tuple[str, str]] | None = None,
             sent: bytes | None = None, **options: object) -> Ask:
    """A request, with the body `sent`, that the origin answers with this status, body and fields."""
    pairs = list(fields.items() if isinstance(fields, dict) else fields or [])
    told = json.dumps({"status": status, "body": body, "fields": pairs})
    return get(target, headers={"X-Reply": told, **options.pop("headers", {})}, body=sent, **options)


def case(name: str, http: str, *asks: str | Ask, files: dict[str, str | bytes] | None = None, main: str = "") -> Case:
    """A case; a string among the requests is the target of a GET."""
    return Case(name, http, tuple(get(ask) if isinstance(ask, str) else ask for ask in asks), files or {}, main)


def scripted(request: Request) -> bytes:
    """The origin's answer: what X-Reply asks for, or else the request as it arrived, in text."""
    if told := request.header("X-Reply"):
        wanted = json.loads(told)
        fields = [tuple(pair) for pair in wanted["fields"]]
        if wanted["status"] in (204, 304):
            return f"HTTP/1.1 {wanted['status']} None\r\n".encode() + b"".join(f"{n}: {v}\r\n".encode() for n, v in fields) + b"\r\n"
        return reply(wanted["status"], wanted["body"].encode(), fields)
    lines = [f"{request.method} {request.target}"]
    lines += sorted(f"{name.lower()}: {value}" for name, value in request.headers if name.lower() not in UNTOLD)
    return reply(200, ("\n".join(lines) + "\n\n").encode() + request.body, [("Content-Type", "text/plain")])


def place_files(server: Server, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path: pathlib.Path = server.write(name, content)
        os.utime(path, (FILE_TIME, FILE_TIME))
        for folder in path.relative_to(server.directory).parents:
            (server.directory / folder).chmod(0o755)


def meaning(server: Server, text: str) -> str:
    """The text with what belongs to this server alone replaced by its name."""
    text = text.replace(str(server.directory), "@dir@")
    for name, value in server.values.items():
        if value.isdigit() and name != "origin":
            text = re.sub(rf"\b{value}\b", f"@{name}@", text)
    return SERVER_NAME.sub("SERVER", text)


def seen(server: Server, response: Response, method: str) -> dict[str, object]:
    fields: dict[str, list[str]] = {}
    for name, value in response.headers:
        if name.lower() not in IGNORED:
            fields.setdefault(name.lower(), []).append(meaning(server, value))
    body = meaning(server, response.body.decode("latin-1"))
    fields = {name: values if name == "set-cookie" else sorted(values) for name, values in fields.items()}
    if "<center>SERVER</center>" in body or (method == "HEAD" and response.status >= 300):
        fields.pop("content-length", None)  # a page of the server's own, which names it
    return {"status": f"{response.status} {response.reason}", "fields": fields, "body": body, "trailers": response.trailers}


def compare(case_: Case, ours: Server, theirs: Server, until_closed: bool) -> list[str]:
    """What differs although it should not, and what should differ and does not."""
    found = []
    for ask in case_.asks:
        sides = []
        for server in (theirs, ours):
            response = server.request(ask.target, method=ask.method, body=ask.body, host=ask.host, port=ask.port,
                                      headers=[(name, server.render(value)) for name, value in ask.headers],
                                      until_closed=until_closed)
            sides.append(seen(server, response, ask.method))
        if sides[0] == sides[1]:
            if ask.differs:
                found.append(f"{ask}: does not differ any more ({ask.differs})")
        elif not ask.differs:
            changes = [f"  {key}: nginx {sides[0][key]!r}\n  {key}: Gatehouse {sides[1][key]!r}" for key in sides[0]
                       if sides[0][key] != sides[1][key]]
            found.append(f"{ask}:\n" + "\n".join(changes))
    return found


def run(case_: Case, gatehouse, nginx, make_origin, until_closed: bool = False) -> None:
    """Starts both servers on the case's configuration and fails with every difference. `until_closed`: a server has finished with
    a request before the next one."""
    origin = make_origin()
    origin.answer = scripted
    servers = []
    for make in (nginx, gatehouse):
        server = make(case_.http, main=case_.main, start=False, origin=origin.port)
        place_files(server, case_.files)
        servers.append(server.start())
    found = compare(case_, servers[1], servers[0], until_closed)
    assert not found, "\n".join(found)
