"""The server under test as a process: started on a configuration, watched, stopped, and searched for what should not be there."""

import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

from .client import Client, Response
from .ports import free_port

ROOT = pathlib.Path(__file__).resolve().parents[3]
MODSECURITY_MODULE = "/usr/lib/nginx/modules/ngx_http_modsecurity_module.so"
# Debian's nginx makes these below /var/lib/nginx, which only root may.
NGINX_FOLDERS = "\n".join(f"{kind}_temp_path @dir@/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
TOKEN = re.compile(r"@([a-z][a-z0-9_]*)@")
# ASan keeps memory it would reuse and checks for leaks at exit: both multiply these waits.
START_TIMEOUT = 60.0  # seconds; a sanitized binary that reads all rules, on a machine that does much else
STOP_TIMEOUT = 30.0


def binary() -> pathlib.Path:
    """The Gatehouse to test: GATEHOUSE_BINARY, or else the ASan build, or else the release build."""
    named = os.environ.get("GATEHOUSE_BINARY")
    candidates = [pathlib.Path(named)] if named else [ROOT / "build-asan/gatehouse", ROOT / "build/gatehouse"]
    for candidate in candidates:
        if candidate.exists():
            return candidate.resolve()
    raise RuntimeError(f"no binary to test: none of {', '.join(map(str, candidates))} exists")


def is_sanitized() -> bool:
    """Whether the binary under test carries ASan: then memory figures mean little."""
    return b"__asan_init" in binary().read_bytes()


class Server:
    """One running Gatehouse (or nginx) on a configuration of its own, in a folder of its own.

    Configurations name ports and files by tokens: `@name@` is a value given as a keyword, or else a fresh port; `@dir@` is the
    server's folder. `http` is the content of the http block; `main` is put before it, in the main context.
    """

    flavour = "gatehouse"

    def __init__(self, http: str, *, main: str = "", workers: int = 2, log_level: str = "info", connections: int = 8192,
                 daemon_off: bool = True, files: dict[str, str | bytes] | None = None,
                 environment: dict[str, str] | None = None, **values: object) -> None:
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="gatehouse-e2e-"))
        self.directory.chmod(0o755)
        self.values = {"dir": str(self.directory), **{name: str(value) for name, value in values.items()}}
        self.environment = environment or {}
        self._template = self._preamble(main, workers, log_level, connections, daemon_off) + http + "\n}\n"
        self._allowed: list[re.Pattern[str]] = []
        self._clients: list[Client] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.stopped = False
        (self.directory / "body").mkdir()
        (self.directory / "body").chmod(0o777)
        for name, content in (files or {}).items():
            self.write(name, content)
        self._given = set(self.values)

    # --- configuration ---------------------------------------------------------------------------------------------------------

    def _preamble(self, main: str, workers: int, log_level: str, connections: int, daemon_off: bool) -> str:
        lines = ["daemon off;" if daemon_off else "", f"worker_processes {workers};", "pid @dir@/pid;",
                 f"error_log @dir@/error.log {log_level};", main]
        lines += self._flavoured_main()
        lines += [f"events {{ worker_connections {connections}; }}", "http {", "access_log @dir@/access.log;",
                  *self._flavoured_http(), "client_body_temp_path @dir@/body;"]
        return "\n".join(line for line in lines if line) + "\n"

    def _flavoured_main(self) -> list[str]:
        return ["admin_listen 127.0.0.1:@admin@;"]

    def _flavoured_http(self) -> list[str]:
        return []

    def render(self, text: str) -> str:
        """The text with its tokens replaced; a name that has no value yet becomes a fresh port."""
        def value(match: re.Match[str]) -> str:
            if match[1] not in self.values:
                self.values[match[1]] = str(free_port())
            return self.values[match[1]]
        return TOKEN.sub(value, text)

    def write(self, name: str, content: str | bytes) -> pathlib.Path:
        """Writes a file into the server's folder, tokens replaced when it is text."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else self.render(content).encode())
        return path

    def configure(self, *, replace: tuple[str, str] | None = None, raw: str | None = None) -> None:
        """Writes the configuration file (a running server does not notice): as it was given with the current values, with one text
        replaced from now on, or, once, something else altogether."""
        if replace is not None:
            assert replace[0] in self._template, f"{replace[0]!r} is not in the configuration"
            self._template = self._template.replace(*replace)
        # At once: a reload that is still under way must not read half a file.
        fresh = self.config.with_suffix(".new")
        fresh.write_text(self.render(raw if raw is not None else self._template))
        fresh.replace(self.config)

    @property
    def config(self) -> pathlib.Path:
        return self.directory / "server.conf"

    def port(self, name: str = "http") -> int:
        return int(self.values[name])

    # --- process ---------------------------------------------------------------------------------------------------------------

    def command(self, *arguments: str) -> list[str]:
        return [str(binary()), "-p", str(self.directory), "-c", str(self.config), *arguments]

    def start(self) -> "Server":
        """Starts it and waits until it has written its pid file and accepts connections."""
        for attempt in range(5):
            self.configure()
            self._spawn()
            if self._wait_until_ready():
                return self
            if "Address already in use" not in self.error_log() + self.output() or attempt == 4:
                break
            self.process = None
            for name in set(self.values) - self._given:
                del self.values[name]
            self._forget_log()
        raise AssertionError(f"the server did not start (status {self.process.poll() if self.process else None}):\n"
                             f"{self.output()}\n{self.error_log()}")

    def _spawn(self) -> None:
        sanitizer = self.directory / "sanitizer"
        suppressions = ROOT / "tests/support/lsan.supp"
        environment = {
            **os.environ,
            "ASAN_OPTIONS": f"log_path={sanitizer}:detect_leaks=1:handle_abort=1:quarantine_size_mb=16",
            "UBSAN_OPTIONS": f"log_path={sanitizer}:print_stacktrace=1",
            "TSAN_OPTIONS": f"log_path={sanitizer}:halt_on_error=0",
            "LSAN_OPTIONS": f"suppressions={suppressions}:print_suppressions=0" if suppressions.exists() else "",
            "ASAN_SYMBOLIZER_PATH": shutil.which("llvm-symbolizer-19") or "",
            **self.environment,
        }
        with (self.directory / "output").open("ab") as output:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                            cwd=self.directory, env=environment, start_new_session=True)

    def _wait_until_ready(self) -> bool:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                return False
            if self.pid_file.exists() and self.pid_file.read_text().strip():
                return True
            time.sleep(0.01)
        return False

    @property
    def pid_file(self) -> pathlib.Path:
        return self.directory / "pid"

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return int(self.pid_file.read_text())

    def signal(self, which: signal.Signals) -> None:
        os.kill(self.pid, which)

    def processes(self) -> list[int]:
        """Every live process of the server's session: the supervisor and what it started."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                if int(fields[3]) == self.process.pid and fields[0] not in "ZX":
                    found.append(int(entry.name))
        return sorted(found)

    def workers(self) -> list[int]:
        """The worker processes: the session without the supervisor."""
        return [pid for pid in self.processes() if pid != self.process.pid]

    def memory(self) -> int:
        """Resident bytes of the worker processes together."""
        total = 0
        for pid in self.workers() or [self.process.pid]:
            fields = pathlib.Path(f"/proc/{pid}/statm").read_text().split()
            total += int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
        return total

    def stop(self) -> None:
        """Drains and stops it, then fails if it left anything that should not be there. Safe to call twice."""
        if self.stopped or self.process is None:
            return
        self.stopped = True
        for client in self._clients:
            client.close()
        problems = []
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
        try:
            status = self.process.wait(STOP_TIMEOUT)
            if status != 0:
                problems.append(f"it ended with status {status}")
        except subprocess.TimeoutExpired:
            problems.append(f"it did not end within {STOP_TIMEOUT:g} s of QUIT")
        deadline = time.monotonic() + STOP_TIMEOUT
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.02)
        if left := self.processes():
            problems.append(f"processes were left behind: {left}")
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        problems += self.findings()
        assert not problems, "the server misbehaved: " + "\n".join(problems)

    def discard(self) -> None:
        """Ends every process of it and removes its folder; the last thing a test does with it."""
        if self.process is not None and self.processes():
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    # --- what it wrote ---------------------------------------------------------------------------------------------------------

    def findings(self) -> list[str]:
        """Log lines of level crit and above that no test allowed, and sanitizer reports."""
        bad = [line for line in self.error_log().splitlines() if re.search(r"\[(crit|alert|emerg)\]", line)]
        found = [line for line in bad if not any(pattern.search(line) for pattern in self._allowed)]
        for report in self.directory.glob("sanitizer.*"):
            found.append(report.read_text(errors="replace")[:8000])
        if re.search(r"ERROR: \w+Sanitizer|runtime error:", self.output()):
            found.append(self.output()[-8000:])
        return found

    def allow_log(self, pattern: str) -> None:
        """Says that this test expects lines of level crit and above that match."""
        self._allowed.append(re.compile(pattern))

    def error_log(self) -> str:
        return self._text("error.log")

    def access_log(self) -> list[str]:
        return self._text("access.log").splitlines()

    def output(self) -> str:
        return self._text("output")

    def _text(self, name: str) -> str:
        path = self.directory / name
        return path.read_text(errors="replace") if path.exists() else ""

    def _forget_log(self) -> None:
        for name in ("error.log", "output", "pid"):
            (self.directory / name).unlink(missing_ok=True)

    def wait_for_log(self, pattern: str, timeout: float = 10.0, count: int = 1) -> str:
        """The error log once `count` lines match the pattern; fails when that does not happen in time."""
        return self._wait_for("error.log", pattern, timeout, count)

    def wait_for_access(self, pattern: str, timeout: float = 10.0, count: int = 1) -> str:
        return self._wait_for("access.log", pattern, timeout, count)

    def _wait_for(self, name: str, pattern: str, timeout: float, count: int) -> str:
        compiled = re.compile(pattern, re.MULTILINE)
        deadline = time.monotonic() + timeout
        while len(compiled.findall(self._text(name))) < count:
            assert time.monotonic() < deadline, f"{name} never had {count} x {pattern!r}:\n{self._text(name)[-4000:]}"
            time.sleep(0.02)
        return self._text(name)

    # --- talking to it ---------------------------------------------------------------------------------------------------------

    def connect(self, port: str | int = "http", *, tls: ssl.SSLContext | None = None, name: str | None = None,
                timeout: float = 20.0) -> Client:
        """A raw connection to one of its ports; closed when the server stops."""
        client = Client(port if isinstance(port, int) else self.port(port), tls=tls, server_name=name, timeout=timeout)
        self._clients.append(client)
        return client

    def request(self, target: str = "/", *, method: str = "GET", headers: dict[str, str] | list[tuple[str, str]] | None = None,
                body: bytes | None = None, port: str | int = "http", tls: ssl.SSLContext | None = None, host: str = "localhost",
                timeout: float = 20.0, until_closed: bool = False) -> Response:
        """One request on a connection of its own. `until_closed`: the server has finished with it altogether."""
        client = self.connect(port, tls=tls, name=host if tls else None, timeout=timeout)
        try:
            response = client.request(target, method=method, headers=headers, body=body, host=host, close=True)
            if until_closed:
                client.read_to_end()
            return response
        finally:
            client.close()
            self._clients.remove(client)

    def metrics(self) -> str:
        """The text of /metrics on the admin listener."""
        response = self.request("/metrics", port="admin")
        assert response.status == 200, response
        return response.body.decode()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of one metric that carry at least these labels; 0 without any."""
        total = 0.0
        for line in self.metrics().splitlines():
            match = re.fullmatch(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?", line)
            if match and match[1] == name:
                found = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
                if all(found.get(label) == value for label, value in labels.items()):
                    total += float(match[3])
        return total

    def accepts(self, port: str = "http") -> bool:
        """Whether a connection to the port is taken."""
        try:
            socket.create_connection(("127.0.0.1", self.port(port)), timeout=2).close()
        except OSError:
            return False
        return True


class Nginx(Server):
    """Debian's nginx with its ModSecurity module, on the same configuration: the reference of the side-by-side tests."""

    flavour = "nginx"

    def _flavoured_main(self) -> list[str]:
        return [f"load_module {MODSECURITY_MODULE};"]

    def _flavoured_http(self) -> list[str]:
        return NGINX_FOLDERS.replace("@dir@", str(self.directory)).splitlines()

    def command(self, *arguments: str) -> list[str]:
        return ["/usr/sbin/nginx", "-p", str(self.directory), "-c", str(self.config), "-e", str(self.directory / "error.log"),
                *arguments]
