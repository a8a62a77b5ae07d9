"""Free TCP ports for a server that is configured with numbers, safe between test processes that run side by side."""

import fcntl
import os
import pathlib
import random
import socket
import tempfile

_held = []


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on and no other test process was given.

    It is below the kernel's ephemeral range, so no outgoing connection takes it in between; a lock file, held until this process
    ends, keeps other test processes off it (two servers with SO_REUSEPORT would share it without a word).
    """
    folder = pathlib.Path(tempfile.gettempdir()) / f"gatehouse-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for port in random.sample(range(12000, 32000), 2000):
        lock = (folder / str(port)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0")):
                with socket.socket(family) as probe:
                    probe.bind((address, port))
        except OSError:
            lock.close()
            continue
        _held.append(lock)
        return port
    raise RuntimeError("no free port found")
