"""Fixtures of the end-to-end tests. See tests/README.md for how a test is written with them."""

import os
import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))

from harness.origin import Origin  # noqa: E402
from harness.server import Nginx, Server  # noqa: E402
from harness.tls import Authority  # noqa: E402

DEFAULT_LIMIT = 60  # seconds a test may take

# The library's own leak is also met where a test runs the binary by itself (`-t`).
os.environ.setdefault("LSAN_OPTIONS", f"suppressions={pathlib.Path(__file__).parent / 'support/lsan.supp'}:print_suppressions=0")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """Ends a test that hangs: a TimeoutError in its main thread, wherever it waits."""
    marker = item.get_closest_marker("limit")
    seconds = marker.args[0] if marker else DEFAULT_LIMIT

    def expired(_signal, _frame):
        raise TimeoutError(f"the test took longer than {seconds} s")

    previous = signal.signal(signal.SIGALRM, expired)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the end of every server's error log beside a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for server in getattr(item, "servers", []) + getattr(item.getparent(pytest.Module), "servers", []):
            report.sections.append((f"{server.flavour} error log", server.error_log()[-4000:]))
            if server.output().strip():
                report.sections.append((f"{server.flavour} output", server.output()[-4000:]))


def _maker(request, default):
    """Makes servers, and at the end of the test stops them and fails it if one of them left something bad."""
    servers = request.node.servers = getattr(request.node, "servers", [])
    made = []

    def make(http: str, *, start: bool = True, **options) -> Server:
        server = default(http, **options)
        made.append(server)
        servers.append(server)
        return server.start() if start else server

    yield make
    try:
        for server in made:
            server.stop()
    finally:
        for server in made:
            server.discard()


@pytest.fixture
def gatehouse(request):
    """gatehouse(http_block, **options): a running server under test. GATEHOUSE_SERVER=nginx puts nginx in its place, to see
    what the reference does with the same test."""
    yield from _maker(request, Nginx if os.environ.get("GATEHOUSE_SERVER") == "nginx" else Server)


@pytest.fixture(scope="module")
def shared_gatehouse(request):
    """The same, for a server that all tests of a file share."""
    yield from _maker(request, Nginx if os.environ.get("GATEHOUSE_SERVER") == "nginx" else Server)


@pytest.fixture
def nginx(request):
    """nginx(http_block, **options): Debian's nginx with its ModSecurity module, for comparison."""
    yield from _maker(request, Nginx)


@pytest.fixture(scope="module")
def shared_nginx(request):
    """The same, for a server that all tests of a file share."""
    yield from _maker(request, Nginx)


def _origin_maker():
    made = []

    def make(*arguments, **options) -> Origin:
        made.append(Origin(*arguments, **options))
        return made[-1]

    yield make
    for origin in made:
        origin.stop()
    errors = [error for origin in made for error in origin.errors]
    assert not errors, f"ill-formed messages reached an origin: {errors}"


@pytest.fixture
def make_origin():
    """make_origin(handler=None, **options): an origin; the test fails if anything ill-formed reached it."""
    yield from _origin_maker()


@pytest.fixture(scope="module")
def make_shared_origin():
    """The same, for origins that all tests of a file share."""
    yield from _origin_maker()


@pytest.fixture
def origin(make_origin) -> Origin:
    """An origin that answers with what it received."""
    return make_origin()


@pytest.fixture(scope="session")
def authority(tmp_path_factory) -> Authority:
    """A certificate authority that lives as long as the test process."""
    return Authority(tmp_path_factory.mktemp("authority") / "ca")
