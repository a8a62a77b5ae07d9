"""Starts programs on a core, knows their descendants, measures their CPU time and memory, and stops them by pid."""

import os
import re
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class CpuTime:
    """Microseconds since a process tree began. The kernel knows the sum to the nanosecond; how it is divided into user
    and system comes from samples at each timer tick."""

    user_us: float = 0.0
    system_us: float = 0.0

    def __sub__(self, other: "CpuTime") -> "CpuTime":
        return CpuTime(self.user_us - other.user_us, self.system_us - other.system_us)


class Program:
    """One started program and what it forked. A context manager: leaving it ends all of them."""

    def __init__(self, arguments: list[str], core: int, output: Path):
        with output.open("ab") as log:
            self._process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             preexec_fn=lambda: os.sched_setaffinity(0, {core}))
        self.output = output

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def pids(self) -> list[int]:
        found, todo = [], [self.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    todo += map(int, children.read_text().split())
                except OSError:
                    pass
        return found

    def cpu_time(self) -> CpuTime:
        user = system = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            user, system = user + int(fields[11]), system + int(fields[12])
        return CpuTime(user * TICK_US, system * TICK_US)

    def memory_bytes(self) -> int:
        """Proportional set size: shared pages count once over all processes."""
        total = 0
        for pid in self.pids():
            match = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
            total += int(match[1]) * 1024 if match else 0
        return total

    def wait_until_it_answers(self, port: int, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"no listener on port {port}; {self.output} ends with:\n"
                           + self.output.read_text(errors="replace")[-2000:])

    def stop(self) -> None:
        everyone = self.pids()
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in everyone[1:]:  # descendants that outlived a killed parent; they were ours, and pids recur slowly
            try:
                if os.getpgid(pid) == os.getpgid(0):
                    os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, so that two benches and other servers get along."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports
