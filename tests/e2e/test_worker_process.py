"""What the worker process is given: limits, priority, processors, and the right to bind to addresses of others."""

import os
import pathlib
import pwd
import re

import pytest


def test_master_process_off_serves_and_ends(gatehouse):
    server = gatehouse("server { listen 127.0.0.1:@http@; return 200 $pid; }", main="master_process off;")
    assert server.request("/").body == str(server.pid).encode()


def test_working_directory_and_rlimit(gatehouse, tmp_path):
    server = gatehouse("server { listen 127.0.0.1:@http@; return 200 $pid; }",
                       main=f"working_directory {tmp_path}; worker_rlimit_nofile 1234;")
    worker = int(server.request("/").body)
    assert pathlib.Path(f"/proc/{worker}/cwd").resolve() == tmp_path.resolve()
    limits = pathlib.Path(f"/proc/{worker}/limits").read_text()
    assert re.search(r"Max open files\s+1234\s", limits)


def test_convert_head(gatehouse, origin, tmp_path):
    server = gatehouse(f"""proxy_cache_path {tmp_path}/cache keys_zone=c:1m; server {{ listen 127.0.0.1:@http@; proxy_cache c; proxy_cache_valid 1m;
        proxy_cache_key $uri$request_method; location / {{ proxy_pass http://127.0.0.1:@origin@; }}
        location /head {{ proxy_cache_convert_head off; proxy_pass http://127.0.0.1:@origin@; }} }}""", origin=origin.port)
    for path, method in (("/a", "GET"), ("/head", "HEAD")):
        server.request(path, method="HEAD")
        assert origin.requests[-1].method == method, path


def test_limits_priority_and_processors_of_the_worker(gatehouse):
    server = gatehouse("server { listen 127.0.0.1:@http@; return 200 x; }", workers=2,
                       main="worker_rlimit_core 64k; worker_rlimit_nofile 3000; worker_priority 3; worker_cpu_affinity 01 10;")
    assert server.request("/").status == 200
    worker = pathlib.Path("/proc") / str(server.workers()[0])
    limits = (worker / "limits").read_text()
    assert re.search(r"Max core file size\s+65536\s+65536", limits) and re.search(r"Max open files\s+3000\s", limits)
    assert (worker / "stat").read_text().rsplit(")", 1)[1].split()[16] == "3"
    processors = {(task / "comm").read_text().strip(): re.search(r"Cpus_allowed_list:\s*(\S+)", (task / "status").read_text())[1]
                  for task in (worker / "task").iterdir()}
    assert (processors["gh-event-0"], processors["gh-event-1"]) == ("0", "1")


def test_more_event_threads_than_masks_is_warned_of(gatehouse):
    server = gatehouse("server { listen 127.0.0.1:@http@; return 200 x; }", workers=2, main="worker_cpu_affinity 1;")
    server.wait_for_log(r'\[warn\].*the number of "worker_processes" is not equal to the number of "worker_cpu_affinity" masks, using last mask')


@pytest.mark.skipif(os.geteuid() != 0, reason="to bind to an address of somebody else takes root's rights at the start")
@pytest.mark.parametrize("kind", ["http", "stream"])
def test_proxy_bind_transparent(gatehouse, origin, kind):
    """The worker may use an address that is not this machine's after it has become another user; answers to it go nowhere here."""
    site = f"""server {{{{ listen 127.0.0.1:@http@; error_page 502 =502 /r; error_page 504 =504 /r; location = /r {{{{ return 200 x; }}}}
        location / {{{{ proxy_pass http://127.0.0.1:{origin.port}; proxy_bind 192.0.2.7{{}}; proxy_connect_timeout 300ms; }}}} }}}}"""
    if kind == "stream":
        site = f"server {{{{ listen 127.0.0.1:@http@; proxy_pass 127.0.0.1:{origin.port}; proxy_bind 192.0.2.7{{}}; proxy_connect_timeout 300ms; }}}}"
    for more, told in ((" transparent", "upstream timed out"), ("", "99: Cannot assign requested address")):
        text = site.format(more)
        server = gatehouse("} stream { " + text if kind == "stream" else text, main="user nobody nogroup;")
        client = server.connect()
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        server.wait_for_log(told)
        assert os.stat(f"/proc/{server.workers()[0]}").st_uid == pwd.getpwnam("nobody").pw_uid
    assert not origin.requests
