"""What nginx tells of its own steps, and where it leaves bodies, beside what Gatehouse does: rewrite_log, uninitialized_variable_warn,
log_subrequest, client_body_in_file_only."""

import re
import time

import pytest

from harness.origin import reply


@pytest.fixture
def pair(gatehouse, nginx, origin):
    def make(text: str, **options):
        servers = [made(text, origin=origin.port, workers=1, **options) for made in (nginx, gatehouse)]
        for server in servers:
            server.log_began = len(server.error_log())
        return servers
    return make


def told(server, words: str) -> list[str]:
    """The lines with these words since the start: level and text."""
    lines = []
    for line in server.error_log()[server.log_began:].splitlines():
        match = re.match(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (\[\w+\]) \d+#\d+: \*\d+ (.*)", line)
        if match and re.search(words, match[2]):
            lines.append(f"{match[1]} {match[2].replace(str(server.directory), 'DIR')}")
    return lines


STEPS = '" (matches|does not match) "|rewritten (data|redirect)'
REWRITING = """
server { listen 127.0.0.1:@http@; server_name www.example.com; rewrite_log on;
    rewrite ^/old/(.*)$ /new/$1?a=b last;
    location /new/ { rewrite ^/nothing x; if ($arg_a ~ "^b(.*)") { rewrite ^/new/(.*)$ /end/$1 last; } return 200 new; }
    location /end/ { if ($request_method !~ POST) { set $x 1; } return 200 "end $uri $args"; }
    location /away { rewrite ^/away(.*)$ https://other.example$1?z permanent; }
    location /dots { rewrite "^/dots/(.+)\\.html$" /end/$1? break; return 200 $uri; }
    location / { }
    location /quiet { rewrite_log off; rewrite ^/quiet(.*) /end/quiet$1; }
}"""


def test_rewrite_log(pair):
    servers = pair(REWRITING, log_level="notice")
    for target in ("/old/x?c=d", "/new/y", "/away/a%20b?q=1", "/dots/one.html?gone", "/quiet/1", "/elsewhere", "/new/z?a=bc%22d"):
        answers = [server.request(target, host="www.example.com") for server in servers]
        assert (answers[0].status, answers[0].body) == (answers[1].status, answers[1].body) or answers[0].status >= 300
    lines = [told(server, STEPS) for server in servers]
    assert lines[0] == lines[1]
    assert len(lines[0]) > 15


def test_rewriting_is_not_told_unasked(gatehouse):
    server = gatehouse(REWRITING.replace("rewrite_log on;", ""), log_level="notice")
    server.request("/old/x")
    assert "matches" not in server.error_log()


UNINITIALIZED = """
log_format own "[$never] [$mapped] [$sometimes]"; access_log @dir@/own.log own;
map $arg_m $mapped { a b; }
server { listen 127.0.0.1:@http@; server_name www.example.com;
    if ($arg_s) { set $sometimes $arg_s; }
    location / { return 200 "[$never][$sometimes][$mapped][$group][$never]"; }
    location /set { set $never 1; return 200 "[$never]"; }
    location ~ ^/group(?<group>.*) { return 200 "[$group]"; }
    location /off { uninitialized_variable_warn off; return 200 "[$never][$sometimes]"; }
    location /tests { if ($never) { return 200 yes; } if ($never = "") { return 200 empty; } return 200 no; }
}"""


def test_uninitialized_variables(pair):
    servers = pair(UNINITIALIZED, log_level="warn")
    for target in ("/", "/?s=1", "/set", "/groupie", "/off", "/tests", "/?m=a"):
        answers = [server.request(target, host="www.example.com", until_closed=True) for server in servers]
        assert (answers[0].status, answers[0].body) == (answers[1].status, answers[1].body), target
    lines = [told(server, "using uninitialized") for server in servers]
    assert lines[0] == lines[1] and len(lines[0]) > 5
    for server in servers:
        server._wait_for("own.log", r"\[b\]", 10, 1)
    assert servers[0]._text("own.log") == servers[1]._text("own.log")


SUBREQUESTS = """
log_format own "$uri $request_uri $status $request_method $sent_http_x_kind"; access_log @dir@/own.log own;
server { listen 127.0.0.1:@http@; server_name www.example.com; log_subrequest on;
    location / { auth_request /auth; mirror /copy; proxy_pass http://127.0.0.1:@origin@; }
    location /silent/ { auth_request /quiet; proxy_pass http://127.0.0.1:@origin@; }
    location = /auth { return 204; }
    location = /copy { proxy_pass http://127.0.0.1:@origin@; }
    location = /quiet { log_subrequest off; return 204; }
    location = /added { return 200 added; }
    location /with { add_before_body /added; default_type text/html; addition_types *; return 200 with; }
    location /denied { auth_request /no; return 200 x; }
    location = /no { return 403; }
}"""


def test_log_subrequest(pair, origin):
    origin.answer = lambda request: reply(200, b"x", [("Content-Type", "text/html")])
    servers = pair(SUBREQUESTS)
    for server in servers:
        for target in ("/a?b=c", "/silent/x", "/denied/x"):
            server.request(target, host="www.example.com", until_closed=True)
        server._wait_for("own.log", "/denied/x /denied/x", 10, 1)
    time.sleep(0.3)
    logs = [sorted(server._text("own.log").splitlines()) for server in servers]
    assert logs[0] == logs[1]
    assert any(line.startswith("/auth /a?b=c 204 GET") for line in logs[0]) and any(line.startswith("/copy") for line in logs[0])


BODIES = """
server { listen 127.0.0.1:@http@; server_name www.example.com; client_body_temp_path @dir@/bodies 1 2; client_body_in_file_only %s;
    location / { proxy_set_header X-File $request_body_file; proxy_set_header X-Body "[$request_body]"; proxy_pass http://127.0.0.1:@origin@; }
    location /elsewhere { proxy_pass_request_body off; proxy_set_header Content-Length ""; proxy_set_header X-File $request_body_file;
        proxy_pass http://127.0.0.1:@origin@; }
    location /streamed { proxy_request_buffering off; proxy_http_version 1.1; proxy_set_header X-File "[$request_body_file]";
        proxy_pass http://127.0.0.1:@origin@; }
}"""


@pytest.mark.parametrize("value", ["on", "clean"])
def test_bodies_in_files(pair, origin, value):
    seen = []

    def look(request):
        name = request.header("X-File")
        content = open(name, "rb").read() if name and name.startswith("/") else None
        seen.append((request.header("X-Body"), request.body, content, name and re.sub(r"^.*/bodies/(\d)/(\d\d)/(\d{7})\2\1$", r"BODIES/\1/\2/\3", name)))
        return reply(200, b"x")

    origin.answer = look
    told_, left = [], []
    for server in pair(BODIES % value, log_level="notice", main="user root;"):
        for target, body in (("/a", b"small"), ("/b", b"large" * 20000), ("/c", b""), ("/elsewhere", b"aside"), ("/streamed", b"flows")):
            assert server.request(target, method="POST", body=body, host="www.example.com", until_closed=True).status == 200
        assert server.request("/chunked", method="POST", body=b"5\r\nparts\r\n0\r\n\r\n", headers={"Transfer-Encoding": "chunked"}, host="www.example.com").status == 200
        assert server.request("/get", host="www.example.com").status == 200
        time.sleep(0.3)
        told_.append([re.sub(r"\d/\d\d/\d{10}", "N", line) for line in told(server, "is buffered to a temporary file")])
        left.append(sorted(path.read_bytes() for path in (server.directory / "bodies").rglob("*") if path.is_file()))
    half = len(seen) // 2
    assert seen[:half] == seen[half:]
    assert seen[0][2] == b"small" and seen[1][2] == b"large" * 20000
    assert left[0] == left[1] and (len(left[0]) == 5) == (value == "on")
    assert told_[0] == told_[1] and len(told_[0]) == 5
