"""The command line: nginx's options, and what a wrong configuration is told."""

import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from harness.server import ROOT, binary

GOOD = 'server { listen 127.0.0.1:@http@; return 200 "x"; }'


def run(*arguments: str, cwd: pathlib.Path | str = "/", timeout: float = 30) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(binary()), *arguments], cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False,
                          env={**os.environ, "ASAN_OPTIONS": "detect_leaks=1"})


@pytest.fixture
def written(gatehouse):
    """written(http_block, **options): a server that is configured but not started."""
    def make(http=GOOD, **options):
        server = gatehouse(http, start=False, **options)
        server.configure()
        return server
    return make


def test_t_says_that_a_configuration_is_good(written):
    server = written()
    done = run("-t", "-p", str(server.directory), "-c", str(server.config))
    assert done.returncode == 0, done.stderr
    assert "test is successful" in done.stderr
    assert str(server.config) in done.stderr
    assert done.stdout == ""
    assert not server.pid_file.exists()


def test_q_says_nothing_about_a_good_configuration(written):
    server = written()
    done = run("-q", "-t", "-p", str(server.directory), "-c", str(server.config))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_capital_t_prints_every_file(written):
    server = written("include parts/*.conf;", files={"parts/one.conf": GOOD, "parts/two.conf": "# a comment\n"})
    done = run("-T", "-p", str(server.directory), "-c", str(server.config))
    assert done.returncode == 0, done.stderr
    for name in ("server.conf", "parts/one.conf", "parts/two.conf"):
        assert f"# configuration file {server.directory / name}:" in done.stdout
    assert server.render(GOOD) in done.stdout


@pytest.mark.parametrize(("text", "line", "expected"), [
    ("server {\n  lisen 80;\n}", 2, "listen"),
    ("server {\n  listen 127.0.0.1:@http@\n}", 2, None),
    ("proxy_pass http://127.0.0.1;", 1, "proxy_pass"),
    ("server {\n  listen;\n}", 2, "listen"),
    ("server {\n  client_max_body_size 5q;\n}", 2, "5q"),
    ("server {\n  location / {\n    return 99999;\n  }\n}", 3, None),
    ("server {\n  location / { proxy_pass http://127.0.0.1:99999; }\n}", 2, None),
    ("server {\n  listen 127.0.0.1:@http@ ssl;\n}", None, "ssl_certificate"),
    ("server {\n  modsecurity_rules 'SecRool X';\n}", 2, "SecRool"),
    ("server {\n  keepalive_timeout 5s;\n  keepalive_timeout 6s;\n}", 3, "duplicate"),
    ("server {\n  proxy_set_header X $no_such_variable;\n}", None, "no_such_variable"),
], ids=["misspelt", "no semicolon", "wrong place", "no argument", "bad size", "bad code", "bad port", "no certificate", "bad rule",
        "duplicate", "unknown variable"])
def test_an_error_names_file_line_and_column(written, text, line, expected):
    server = written(text)
    first = server.config.read_text().split(server.render(text))[0].count("\n")
    done = run("-t", "-p", str(server.directory), "-c", str(server.config))
    assert done.returncode == 1
    assert "test failed" in done.stderr
    places = [int(number) for number in re.findall(re.escape(str(server.config)) + r":(\d+):\d+", done.stderr)]
    if line is not None:
        assert first + line in places, done.stderr
    if expected is not None:
        assert expected in done.stderr


def test_all_errors_are_told_at_once(written):
    server = written("server {\n  lisen 80;\n  sevrer_name a;\n  client_max_body_size x;\n}")
    done = run("-t", "-p", str(server.directory), "-c", str(server.config))
    for wrong in ("lisen", "sevrer_name", "client_max_body_size"):
        assert wrong in done.stderr
    for suggested in ("listen", "server_name"):
        assert suggested in done.stderr


def test_v_and_capital_v_tell_the_version():
    assert re.search(r"gatehouse/\d+\.\d+", run("-v").stderr + run("-v").stdout)
    told = run("-V")
    assert told.returncode == 0
    assert "OpenSSL" in told.stderr + told.stdout


@pytest.mark.parametrize("option", ["-h", "-?"])
def test_h_lists_the_options(option):
    done = run(option)
    assert done.returncode == 0
    for named in ("-t", "-T", "-c", "-p", "-e", "-g", "-s", "-q", "-v", "-V"):
        assert named in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [("-x",), ("-c",), ("-s", "dance"), ("surplus",), ("-s",)])
def test_wrong_options_are_refused(arguments):
    done = run(*arguments)
    assert done.returncode == 1
    assert "gatehouse: " in done.stderr


def test_a_missing_file_is_told():
    done = run("-t", "-c", "/no/such/file.conf")
    assert done.returncode == 1
    assert "/no/such/file.conf" in done.stderr
    assert "No such file" in done.stderr


def test_g_adds_directives(written, tmp_path):
    server = written()
    server.configure(replace=("pid @dir@/pid;\n", ""))
    process = subprocess.Popen([str(binary()), "-p", str(server.directory), "-c", str(server.config), "-g", f"pid {tmp_path}/other;"],
                               stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not (tmp_path / "other").exists():
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGQUIT)
        assert process.wait(20) == 0


def test_g_is_checked_too(written):
    server = written()
    done = run("-t", "-p", str(server.directory), "-c", str(server.config), "-g", "worker_proceses 1;")
    assert done.returncode == 1
    assert "worker_processes" in done.stderr


def test_e_takes_errors_before_the_configuration_is_read(tmp_path):
    done = run("-e", str(tmp_path / "early.log"), "-c", "/no/such/file.conf")
    assert done.returncode == 1
    assert "/no/such/file.conf" in (tmp_path / "early.log").read_text()


def test_p_is_where_relative_paths_start(written):
    server = written()
    server.configure(replace=("error_log @dir@/error.log", "error_log logs/inside.log"))
    (server.directory / "logs").mkdir()
    done = run("-t", "-p", str(server.directory), "-c", str(server.config))
    assert done.returncode == 0, done.stderr
    assert (server.directory / "logs/inside.log").exists()


@pytest.mark.parametrize("how", ["stop", "quit"])
def test_s_ends_a_running_server(gatehouse, how):
    server = gatehouse(GOOD)
    assert run("-p", str(server.directory), "-c", str(server.config), "-s", how).returncode == 0
    assert server.process.wait(20) == 0
    assert not server.pid_file.exists()


def test_s_reload_and_reopen(gatehouse):
    server = gatehouse(GOOD)
    server.configure(replace=('"x"', '"y"'))
    assert run("-p", str(server.directory), "-c", str(server.config), "-s", "reload").returncode == 0
    deadline = time.monotonic() + 10
    while server.request("/").body != b"y":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (server.directory / "access.log").rename(server.directory / "old.log")
    assert run("-p", str(server.directory), "-c", str(server.config), "-s", "reopen").returncode == 0
    deadline = time.monotonic() + 10
    while not (server.directory / "access.log").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_s_without_a_running_server_fails(written):
    server = written()
    done = run("-p", str(server.directory), "-c", str(server.config), "-s", "reload")
    assert done.returncode == 1
    assert "pid" in done.stderr


def test_list_directives_and_the_page_agree():
    done = run("--list-directives")
    assert done.returncode == 0
    page = (ROOT / "conf/DIRECTIVES.md").read_text()
    for name in ("listen", "proxy_pass", "modsecurity_rules_file", "admin_listen", "client_max_body_size", "proxy_next_upstream"):
        assert re.search(rf"\b{name}\b", done.stdout), name
        assert re.search(rf"\b{name}\b", page), name


def test_an_address_in_use_is_told(gatehouse, written):
    server = gatehouse(GOOD)
    second = written(GOOD.replace("@http@", str(server.port())))
    done = run("-p", str(second.directory), "-c", str(second.config))
    assert done.returncode == 1
    assert "Address already in use" in done.stderr + second.error_log()
