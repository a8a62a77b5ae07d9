"""The clients: wrk for everything over HTTP, tls_client.py for handshakes, and connections held open."""

import json
import os
import re
import socket
import ssl
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from scenarios import HOST, Scenario

QUANTILES = {"p50_us": 50, "p99_us": 99, "p999_us": 99.9}


@dataclass
class Load:
    """What one run of the clients saw."""

    requests: int
    seconds: float
    errors: int
    latency: dict[str, float] = field(default_factory=dict)


def lua_string(text: str) -> str:
    return '"' + "".join(c if c.isalnum() or c in " /.,:;=-_+*()?&" else f"\\{ord(c):03}" for c in text) + '"'


def wrk_script(scenario: Scenario, delay_ms: float = 0) -> str:
    """Requests are made once; each call hands out the next of them. wrk counts answers of 400 and above as errors, so a
    scenario that wants them says how many there must be."""
    body = f'string.rep("x", {scenario.body_bytes})' if scenario.body_bytes else lua_string(scenario.body)
    headers = {"Host": HOST, **scenario.headers}
    lines = [f'wrk.method = "{scenario.method}"']
    if scenario.method == "POST":
        lines.append(f"wrk.body = {body}")
    lines += [f"wrk.headers[{lua_string(k)}] = {lua_string(v)}" for k, v in headers.items()]
    if scenario.requests:
        lines += ["local requests, next = {}, 0", "function init()"]
        for request in scenario.requests:
            fields = ", ".join(f"[{lua_string(k)}] = {lua_string(v)}" for k, v in {"Host": HOST, **request.headers}.items())
            content = lua_string(request.body) if request.body else "nil"
            lines.append(f"  requests[#requests + 1] = wrk.format({lua_string(request.method)}, {lua_string(request.path)}, {{{fields}}}, {content})")
        lines += ["end", "function request() next = next % #requests + 1; return requests[next] end"]
    elif len(scenario.paths) > 1:
        lines += ["local paths = {" + ", ".join(map(lua_string, scenario.paths)) + "}", "local requests, next = {}, 0",
                  "function init() for i, p in ipairs(paths) do requests[i] = wrk.format(nil, p) end end",
                  "function request() next = next % #requests + 1; return requests[next] end"]
    if delay_ms:
        lines.append(f"function delay() return math.random(0, {round(2 * delay_ms)}) end")
    lines += ["function done(summary, latency)", "  local e = summary.errors",
              '  io.write(string.format("RESULT %d %d %d %d", summary.requests, summary.duration,',
              "    e.connect + e.read + e.write + e.timeout, e.status))"]
    lines += [f'  io.write(string.format(" %d", latency:percentile({q})))' for q in QUANTILES.values()]
    return "\n".join([*lines, '  io.write("\\n")', "end", ""])


def run_wrk(scenario: Scenario, port: int, seconds: float, core: int, folder: Path, delay_ms: float = 0) -> Load:
    script = folder / "wrk.lua"
    script.write_text(wrk_script(scenario, delay_ms))
    url = f"{'https' if scenario.tls else 'http'}://127.0.0.1:{port}{scenario.paths[0]}"
    output = subprocess.run(["wrk", "-t1", f"-c{scenario.connections}", f"-d{max(1, round(seconds))}s", "-s", script, url],
                            capture_output=True, text=True, timeout=seconds + 30, check=True,
                            preexec_fn=lambda: os.sched_setaffinity(0, {core})).stdout
    match = re.search(r"^RESULT (.*)$", output, re.M)
    if not match:
        raise RuntimeError(f"wrk said: {output}")
    requests, duration_us, socket_errors, refused, *latency = map(int, match[1].split())
    wrong = abs(requests - refused) if scenario.status >= 400 else refused
    return Load(requests, duration_us / 1e6, socket_errors + wrong, dict(zip(QUANTILES, latency)))


def run_handshakes(scenario: Scenario, port: int, seconds: float, core: int) -> Load:
    client = Path(__file__).with_name("tls_client.py")
    output = subprocess.run([sys.executable, client, str(port), str(seconds), "resumed" if scenario.resume else "full",
                             HOST, str(core)], capture_output=True, text=True, timeout=seconds + 30, check=True).stdout
    said = json.loads(output)
    return Load(said["requests"], seconds, said["errors"])


class HeldConnections:
    """Connections that are left open. A context manager."""

    def __init__(self, scenario: Scenario, port: int):
        self._scenario, self._port = scenario, port
        self._open: list[socket.socket] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE

    def __enter__(self) -> "HeldConnections":
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._open:
            one.close()

    def ask(self, path: str, count: int) -> None:
        """Opens connections that ask for `path` and read nothing of the answer, with the smallest receive buffer there is."""
        for _ in range(count):
            one = socket.socket()
            self._open.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            one.settimeout(10)
            one.connect(("127.0.0.1", self._port))
            one.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())

    def open(self, count: int) -> None:
        """Opens connections that have one answer each."""
        request = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
        for _ in range(count):
            one: socket.socket = socket.create_connection(("127.0.0.1", self._port), 10)
            if self._scenario.tls:
                one = self._context.wrap_socket(one, server_hostname=HOST)
            self._open.append(one)
            one.sendall(request)
            if not one.recv(65536).startswith(b"HTTP/1.1 200"):
                raise RuntimeError("an idle connection's first answer was not 200")
