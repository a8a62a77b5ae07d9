"""10,000 server blocks with five locations each: they load, they are told apart, and they take a bounded amount of memory."""

import subprocess
import time

import pytest

from harness.server import is_sanitized

BLOCKS = 10_000
BLOCK = """server {{ listen 127.0.0.1:@http@; server_name host{i}.example.com;
  location / {{ proxy_pass http://127.0.0.1:{port}; }}
  location /a/ {{ return 200 "a{i}"; }}
  location = /b {{ return 200 "b{i}"; }}
  location ~ \\.php$ {{ return 200 "php{i}"; }}
  location /static/ {{ root /srv; expires 1d; }}
}}
"""


@pytest.fixture
def many(gatehouse, origin):
    return gatehouse("".join(BLOCK.format(i=i, port=origin.port) for i in range(BLOCKS)), start=False)


def test_ten_thousand_server_blocks(many):
    began = time.monotonic()
    many.start()
    assert time.monotonic() - began < 60, "even on a busy machine"
    for i in (0, 1, 4_999, 9_999):
        host = f"host{i}.example.com"
        assert many.request("/a/x", host=host).body == f"a{i}".encode()
        assert many.request("/b", host=host).body == f"b{i}".encode()
        assert many.request("/x.php", host=host).body == f"php{i}".encode()
        assert many.request("/proxied", host=host).status == 200
    assert many.request("/b", host="unknown.example.com").body == b"b0"
    if not is_sanitized():
        assert many.memory() < 400 << 20, "bytes of all its processes"


def test_they_are_tested_in_bounded_memory(many):
    many.configure()
    done = subprocess.run(["/usr/bin/env", "python3", "-c", "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
                           "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)", *many.command("-t", "-q")],
                          capture_output=True, text=True, check=True, timeout=120)
    if not is_sanitized():
        assert int(done.stdout) < 400 << 10, "KiB at most"
