"""error_log and access_log to syslog servers: RFC 3164 datagrams with nginx's defaults."""

import re
import socket
import subprocess

import pytest

STAMP = r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"


@pytest.fixture
def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(15)
        yield listener


def line_like(listener: socket.socket, pattern: str) -> str:
    """The first datagram that matches; others are passed over."""
    while True:
        text = listener.recv(65536).decode()
        if re.search(pattern, text):
            return text


def test_access_log_over_udp(gatehouse, udp):
    server = gatehouse(f"""
server {{ listen 127.0.0.1:@http@; access_log syslog:server=127.0.0.1:{udp.getsockname()[1]},facility=local1,tag=edge,severity=notice combined; return 204; }}""")
    server.request("/path?q=1")
    text = line_like(udp, "GET /path")
    # local1 is 17, notice 5
    assert re.fullmatch(rf'<141>{STAMP} {re.escape(socket.gethostname())} edge: 127\.0\.0\.1 - - \[[^]]+\] "GET /path\?q=1 HTTP/1\.1" 204 0 "-" "-"', text)


def test_error_log_over_udp_with_its_levels(gatehouse, udp):
    server = gatehouse("server { listen 127.0.0.1:@http@; location / { deny all; } }",
                       main=f"error_log syslog:server=127.0.0.1:{udp.getsockname()[1]},nohostname info;")
    server.request("/")
    text = line_like(udp, "access forbidden by rule")
    # local7 is 23, error 3
    assert re.match(rf"<187>{STAMP} nginx: \d{{4}}/\d\d/\d\d \d\d:\d\d:\d\d \[error\] \d+#\d+: \*\d+ access forbidden by rule, client: 127\.0\.0\.1", text)


def test_each_request_is_a_datagram(gatehouse, udp):
    server = gatehouse(f"server {{ listen 127.0.0.1:@http@; access_log syslog:server=127.0.0.1:{udp.getsockname()[1]} combined; return 204; }}", workers=1)
    client = server.connect()
    for number in range(20):
        client.request(f"/{number}")
    seen = [re.search(r"GET /(\d+) ", udp.recv(65536).decode())[1] for _ in range(20)]
    assert seen == [str(number) for number in range(20)]


def test_a_unix_socket_that_begins_anew(gatehouse, tmp_path):
    path = tmp_path / "log"

    def listen():
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.bind(str(path))
        path.chmod(0o777)
        listener.settimeout(15)
        return listener

    listener = listen()
    server = gatehouse(f"server {{ listen 127.0.0.1:@http@; access_log syslog:server=unix:{path} combined; return 204; }}")
    server.request("/one")
    assert "GET /one" in line_like(listener, "GET")
    listener.close()
    server.request("/lost")
    path.unlink()
    with listen() as again:
        server.request("/two")
        assert "GET /two" in line_like(again, "GET /two")


@pytest.mark.parametrize(("target", "told"), [
    ("syslog:", "no syslog server specified"),
    ("syslog:server=127.0.0.1,facility=none", 'unknown syslog facility "none"'),
    ("syslog:server=127.0.0.1,severity=loud", 'unknown syslog severity "loud"'),
    ("syslog:server=127.0.0.1,tag=a-b", 'syslog "tag" only allows alphanumeric characters and underscore'),
    ("syslog:server=127.0.0.1,color=red", 'unknown syslog parameter "color=red"'),
    ("syslog:server=127.0.0.1:0", "invalid port in syslog server"),
    ("memory:32m", "logging to memory is not supported"),
])
def test_what_is_refused(gatehouse, target, told):
    for directive in (f"error_log {target};", f"access_log {target} combined;"):
        server = gatehouse(f"server {{ listen 127.0.0.1:@http@; {directive} }}", start=False)
        server.configure()
        done = subprocess.run(server.command("-t"), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode != 0 and told in done.stderr
