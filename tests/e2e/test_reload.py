"""Reloading: nothing is lost, nothing is cut, and a bad configuration changes nothing."""

import asyncio
import signal
import time

import pytest

from harness.server import is_sanitized
from harness.websocket import WebSocket, echo_origin

SITE = """server {
    listen 127.0.0.1:@http@ backlog=4096;
    location / { proxy_pass http://127.0.0.1:@origin@; @more@ }
    location = /version { return 200 "@version@"; }
    location = /ws {
        proxy_pass http://127.0.0.1:@sockets@;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
    }
}"""


def reload(server) -> None:
    server.configure()
    server.signal(signal.SIGHUP)


def wait_for_version(server, version: str, timeout: float = 15.0) -> None:
    deadline = time.monotonic() + timeout
    while server.request("/version").body != version.encode():
        assert time.monotonic() < deadline, f"version {version} never came"
        time.sleep(0.02)


@pytest.fixture
def site(gatehouse, origin, make_origin):
    def make(**options):
        return gatehouse(SITE, origin=origin.port, sockets=make_origin(echo_origin).port, more="", version="0", **options)
    return make


@pytest.mark.smoke
def test_a_reload_takes_effect(site):
    server = site()
    server.values["version"] = "1"
    reload(server)
    wait_for_version(server, "1")


def test_an_open_connection_goes_on_with_the_new_configuration(site):
    """The connection is not cut; its next request finds the new configuration."""
    server = site()
    client = server.connect()
    assert client.request("/version").body == b"0"
    server.values["version"] = "1"
    reload(server)
    wait_for_version(server, "1")
    assert client.request("/version").body == b"1"


def test_a_request_ends_with_the_configuration_it_began_with(gatehouse, make_origin):
    async def handler(connection):
        while await connection.read_request():
            while not released:
                await asyncio.sleep(0.02)
            await connection.reply(200, b"late")

    released = []
    origin = make_origin(handler)
    server = gatehouse("""server { listen 127.0.0.1:@http@; location / { proxy_pass http://127.0.0.1:@origin@; add_header X-Version @version@; }
                          location = /version { return 200 "@version@"; } }""", origin=origin.port, version="0")
    client = server.connect()
    client.send_request("/")
    deadline = time.monotonic() + 5
    while origin.connections == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    server.values["version"] = "1"
    reload(server)
    wait_for_version(server, "1")
    released.append(True)
    response = client.read_response()
    assert (response.body, response.header("x-version")) == (b"late", "0")


def test_a_bad_configuration_changes_nothing(site):
    server = site()
    server.allow_log("emerg")
    server.configure(raw="nonsense {\n")
    server.signal(signal.SIGHUP)
    server.wait_for_log(r"\[emerg\].*nonsense|nonsense")
    assert server.request("/version").body == b"0"
    assert server.request("/").status == 200
    server.values["version"] = "1"
    reload(server)
    wait_for_version(server, "1")


def test_a_bad_rule_changes_nothing(site):
    server = site()
    server.allow_log("emerg")
    server.values["more"] = "modsecurity on; modsecurity_rules 'SecRule ARGS';"
    server.configure()
    server.signal(signal.SIGHUP)
    server.wait_for_log(r"\[emerg\]")
    assert server.request("/").status == 200


def test_listeners_come_and_go(gatehouse):
    server = gatehouse('server { listen 127.0.0.1:@http@; return 200 "one"; } @second@', second="")
    server.values["extra"] = server.render("@extra@")
    server.values["second"] = f'server {{ listen 127.0.0.1:{server.values["extra"]}; return 200 "two"; }}'
    reload(server)
    deadline = time.monotonic() + 10
    while not server.accepts("extra"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert server.request("/", port="extra").body == b"two"
    server.values["second"] = ""
    reload(server)
    deadline = time.monotonic() + 10
    while server.accepts("extra"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert server.request("/").body == b"one"


def test_a_new_address_that_is_taken_changes_nothing(gatehouse, origin):
    server = gatehouse('server { listen 127.0.0.1:@http@; return 200 "one"; } @second@', second="")
    server.allow_log("emerg|Address already in use")
    server.values["second"] = f"server {{ listen 127.0.0.1:{origin.port}; return 200 two; }}"
    reload(server)
    server.wait_for_log("Address already in use")
    assert server.request("/").body == b"one"


class Load:
    """Keep-alive clients in one asyncio loop; counts answers, and what went wrong."""

    def __init__(self, port: int, clients: int, pause: float) -> None:
        self.port, self.clients, self.pause = port, clients, pause
        self.answers, self.connections, self.errors, self.running = 0, 0, [], True

    async def client(self) -> None:
        writer = None
        while self.running:
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    self.connections += 1
                writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
                fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:-2])
                await asyncio.wait_for(reader.readexactly(int(fields[b"content-length"])), 30)
                if not head.startswith(b"HTTP/1.1 200 "):
                    self.errors.append(head.split(b"\r\n")[0].decode())
                self.answers += 1
                if fields.get(b"connection") == b"close":
                    writer.close()
                    writer = None
            except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
                self.errors.append(repr(error))
                writer = None
            await asyncio.sleep(self.pause)
        if writer is not None:
            writer.close()

    async def run(self, meanwhile) -> None:
        tasks = [asyncio.create_task(self.client()) for _ in range(self.clients)]
        try:
            await asyncio.to_thread(meanwhile)
        finally:
            self.running = False
            await asyncio.gather(*tasks)


@pytest.mark.smoke
@pytest.mark.limit(240)
def test_a_thousand_clients_while_the_configuration_is_reloaded_fifty_times(site):
    """0 failed requests, no connection cut, and a WebSocket opened before the first reload still echoes after the last."""
    server = site()
    tunnel = WebSocket(server.connect(), "/ws")
    tunnel.echo(b"before")
    load = Load(server.port(), 1000, pause=1.0)

    def reloads() -> None:
        deadline = time.monotonic() + 60
        while load.connections < 1000 or load.answers < 1000:
            assert time.monotonic() < deadline, f"only {load.connections} clients got {load.answers} answers: {load.errors[:3]}"
            time.sleep(0.1)
        for number in range(1, 51):
            server.values["version"] = str(number)
            reload(server)
            wait_for_version(server, str(number), timeout=30)
            time.sleep(0.1)  # spread over several rounds of the clients' requests

    asyncio.run(load.run(reloads))
    assert load.errors == []
    assert load.connections == 1000
    assert load.answers >= 2000
    tunnel.echo(b"after")
    assert server.workers() != []


RULES = """
modsecurity on;
modsecurity_rules_file @dir@/rules.conf;
server { listen 127.0.0.1:@http@; location / { return 200 ok; } location = /version { return 200 "@version@"; } }
"""


@pytest.mark.smoke
@pytest.mark.limit(400)
def test_a_thousand_reloads_with_changed_rules(gatehouse):
    """Neither memory nor the loop suffers: rules are checked in a process of their own, which holds this one's descriptors while it
    starts, and connections come and go meanwhile."""
    server = gatehouse(RULES, start=False, version="0", workers=1)
    reloads = 150 if is_sanitized() else 1000

    def write_rules(number: int) -> None:
        rules = "\n".join(f'SecRule ARGS "@rx attack{number}x{i}[a-z]+" "id:{i + 1},phase:2,deny,t:lowercase"' for i in range(20))
        (server.directory / "rules.conf").write_text(f"SecRuleEngine On\n{rules}\n")

    write_rules(0)
    server.start()
    before = 0
    for number in range(1, reloads + 1):
        write_rules(number)
        server.values["version"] = str(number)
        reload(server)
        wait_for_version(server, str(number))
        if number == reloads // 10:
            before = server.memory()
    assert server.request(f"/?a=attack{reloads}x3abc").status == 403
    assert server.request(f"/?a=attack{reloads - 1}x3abc").status == 200
    assert server.memory() - before < (60 if is_sanitized() else 10) * 1024 * 1024
