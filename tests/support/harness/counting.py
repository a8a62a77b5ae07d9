"""Counts what the server under test asks of the heap and of the kernel, exactly: no clock has a part in it."""

import mmap
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time

import pytest

from .server import ROOT, Server, binary, is_sanitized

SOURCE = ROOT / "tests/support/count_allocations.c"


def counting_binary() -> pathlib.Path:
    """A binary whose memory and calls are its own: the one under test, or the release build where that one carries a sanitizer.
    Skips the test where only a sanitized one was built."""
    if not is_sanitized():
        return binary()
    release = ROOT / "build/gatehouse"
    if not release.exists():
        pytest.skip("only a sanitized binary was built: its allocations and calls are the sanitizer's too")
    return release


class PlainServer(Server):
    """A server on a binary without a sanitizer."""

    def command(self, *arguments: str) -> list[str]:
        return [str(counting_binary()), *super().command(*arguments)[1:]]


class Allocations:
    """Blocks that the event threads of a server asked the heap for. Give `environment` to the server before it starts."""

    def __init__(self, folder: pathlib.Path) -> None:
        compiler = shutil.which("clang-19") or shutil.which("cc")
        assert compiler, "no C compiler: conf/packages/install.sh build installs one"
        library = folder / "count_allocations.so"
        subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
        counters = folder / "counters"
        counters.write_bytes(bytes(16))
        counters.chmod(0o666)
        with counters.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), 16)
        self.environment = {"LD_PRELOAD": str(library), "GATEHOUSE_ALLOCATIONS": str(counters)}

    @property
    def blocks(self) -> int:
        return struct.unpack_from("Q", self._page, 0)[0]

    def tell(self, count: int) -> None:
        """The call stacks of the next `count` blocks go to the server's output."""
        struct.pack_into("Q", self._page, 8, count)


def told_stacks(server: Server) -> str:
    """What `tell` asked for, with the functions' names if a symbolizer is there."""
    text = server.output()
    symbolizer = shutil.which("llvm-symbolizer-19") or shutil.which("addr2line")
    if not symbolizer:
        return text
    program = str(counting_binary())

    def named(match: re.Match[str]) -> str:
        arguments = [symbolizer, "-e", program, "-f", "-C", match[1]]
        lines = subprocess.run(arguments, capture_output=True, text=True, check=False).stdout.split("\n")
        return f"  {re.sub(r'[(<].*', '', lines[0])} {lines[1].rpartition('/')[2] if len(lines) > 1 else ''}"
    return re.sub(rf"{re.escape(program)}\(\+(0x[0-9a-f]+)\)\[\S+\]", named, text)


class SystemCalls:
    """Counts the system calls of a server's worker processes while it is open: `calls` then has them by name."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.calls: dict[str, int] = {}

    def __enter__(self) -> "SystemCalls":
        self._folder = tempfile.TemporaryDirectory()
        self._output = pathlib.Path(self._folder.name) / "calls"
        pids = [word for pid in self._server.workers() for word in ("-p", str(pid))]
        self._tracer = subprocess.Popen(["strace", "-c", "-f", "-U", "calls,name", "-o", str(self._output), *pids],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        threads = [task for pid in self._server.workers() for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]
        deadline = time.monotonic() + 30
        while any("TracerPid:\t0\n" in (task / "status").read_text() for task in threads):
            assert self._tracer.poll() is None, f"strace ended: {self._tracer.stderr.read()}"
            assert time.monotonic() < deadline, "strace did not attach to every thread"
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._tracer.send_signal(signal.SIGINT)
        self._tracer.communicate(timeout=30)
        for count, name in re.findall(r"^\s*(\d+)\s+(\w+)$", self._output.read_text(), re.M):
            if name != "total":
                self.calls[name] = int(count)
        self._folder.cleanup()
