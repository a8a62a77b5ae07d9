"""The supervisor: it keeps the sockets, restarts a worker that died, and says what happened."""

import concurrent.futures
import os
import re
import signal
import time

import pytest

SITE = "server { listen 127.0.0.1:@http@; location / { proxy_pass http://127.0.0.1:@origin@; } }"


@pytest.mark.smoke
@pytest.mark.limit(90)
def test_a_killed_worker_is_replaced_under_load(gatehouse, origin):
    """kill -9 of the worker: no connection is refused, service is back in less than a second, the log tells."""
    server = gatehouse(SITE, origin=origin.port)
    server.allow_log("worker|signal 9")
    stop_at = time.monotonic() + 7
    answered, refused = [], []

    def load() -> None:
        while time.monotonic() < stop_at:
            try:
                if server.request("/", timeout=5).status == 200:
                    answered.append(time.monotonic())
            except ConnectionRefusedError as error:
                refused.append(error)
            except (AssertionError, OSError):
                pass  # a connection that the dead worker had already taken is lost with it

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        running = [pool.submit(load) for _ in range(6)]
        killed = []
        for _ in range(2):
            time.sleep(1.5)
            victims = server.workers()
            assert victims
            killed.append(time.monotonic())
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
        for future in running:
            future.result()
    assert refused == []
    for moment in killed:
        assert min(at for at in answered if at > moment) - moment < 1.0
    log = server.wait_for_log(r"signal 9")
    assert re.search(r"worker.* exited on signal 9", log)


def test_a_worker_that_is_killed_while_idle(gatehouse, origin):
    server = gatehouse(SITE, origin=origin.port)
    server.allow_log("worker|signal 9")
    before = server.workers()
    os.kill(before[-1], signal.SIGKILL)
    deadline = time.monotonic() + 10
    while True:
        try:
            assert server.request("/", timeout=5).status == 200
            break
        except (AssertionError, OSError):
            assert time.monotonic() < deadline
    assert before[-1] not in server.workers()
    assert server.pid == server.process.pid


def test_the_new_worker_has_the_current_configuration(gatehouse):
    server = gatehouse('server { listen 127.0.0.1:@http@; return 200 "@version@"; }', version="0")
    server.allow_log("worker|signal 9")
    server.values["version"] = "1"
    server.configure()
    server.signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while server.request("/").body != b"1":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    for pid in server.workers():
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while True:
        try:
            assert server.request("/", timeout=5).body == b"1"
            break
        except (AssertionError, OSError):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_supervisor_that_is_killed_takes_its_worker_along(gatehouse, origin):
    """No orphan holds the ports when the supervisor is gone."""
    server = gatehouse(SITE, origin=origin.port)
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait(10)
    deadline = time.monotonic() + 10
    while server.processes() or server.accepts():
        assert time.monotonic() < deadline, f"left behind: {server.processes()}"
        time.sleep(0.05)
    server.stopped = True


def test_the_pid_file_is_written_when_every_socket_listens(gatehouse):
    """Whoever waits for the pid file can connect at once, to every address."""
    blocks = "".join(f"server {{ listen 127.0.0.1:@p{chr(97 + i)}@; return 200 x; }}" for i in range(20))
    server = gatehouse(blocks)
    for i in range(20):
        assert server.accepts(f"p{chr(97 + i)}")
    assert server.pid == server.process.pid


def test_daemon_on_detaches(gatehouse):
    """With `daemon on` the command returns when the server listens."""
    server = gatehouse('server { listen 127.0.0.1:@http@; return 200 "x"; }', daemon_off=False, start=False)
    server.configure()
    server._spawn()
    assert server.process.wait(20) == 0
    assert server.accepts()
    assert server.pid != server.process.pid
    assert server.request("/").body == b"x"
    server.signal(signal.SIGQUIT)
    deadline = time.monotonic() + 10
    while server.pid_file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    server.stopped = True
