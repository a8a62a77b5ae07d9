"""OCSP: what responders say of clients' certificates (ssl_ocsp), and of our own (ssl_stapling)."""

import re
import subprocess
import time

import pytest

from harness.origin import reply
from harness.tls import Authority

CLIENTS = """server {{ listen 127.0.0.1:@http@ ssl; {pair} ssl_client_certificate {ca}; ssl_verify_client {verify}; ssl_ocsp {scope}; {more}
    location / {{ return 200 "$ssl_client_verify"; }} }}"""


class Responder:
    """An origin that answers as the openssl command does, from an index of serial numbers."""

    def __init__(self, make_origin, authority, directory):
        self.authority, self.directory, self.status, self.days = authority, directory, {}, 1
        self.signer, self.asked = authority.pair, 0
        self.origin = make_origin()
        self.origin.answer = self.answer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.origin.port}/ocsp"

    def says(self, pair, status: str) -> None:
        """V is valid, R revoked; of what isn't mentioned nothing is known."""
        told = subprocess.run(["openssl", "x509", "-in", pair.certificate, "-noout", "-serial"], check=True, capture_output=True, text=True)
        self.status[told.stdout.strip().split("=")[1]] = status

    def answer(self, request):
        self.asked += 1
        ask, said, index = (self.directory / name for name in ("ask.der", "said.der", "index"))
        body = request.body
        if request.line.startswith("GET"):  # nginx asks so
            from base64 import b64decode
            from urllib.parse import unquote
            body = b64decode(unquote(request.line.split(" ")[1]).removeprefix("/ocsp/"))
        ask.write_bytes(body)
        index.write_text("".join(f"{status}\t401231235959Z\t{'251231235959Z' if status == 'R' else ''}\t{serial}\tunknown\t/CN=x\n"
                                 for serial, status in self.status.items()))
        days = ["-ndays", str(self.days)] if self.days else []
        subprocess.run(["openssl", "ocsp", "-index", index, "-rsigner", self.signer.certificate, "-rkey", self.signer.key,
                        "-CA", self.authority.pair.certificate, "-reqin", ask, "-respout", said, *days], check=True, capture_output=True)
        return reply(200, said.read_bytes(), [("Content-Type", "application/ocsp-response")])


@pytest.fixture
def responder(make_origin, authority, tmp_path):
    return Responder(make_origin, authority, tmp_path)


@pytest.fixture(params=["gatehouse", "nginx"])
def make(request):
    return request.getfixturevalue(request.param)


def verified(server, authority, pair=None):
    return server.connect(tls=authority.client(certificate=pair), name="localhost").request("/")


@pytest.mark.parametrize("scope", ["on", "leaf"])
def test_clients_are_asked_about(make, authority, responder, scope):
    good, revoked, unknown = (authority.issue(name, usage="clientAuth", responder=responder.url) for name in ("good", "revoked", "unknown"))
    responder.says(good, "V")
    responder.says(revoked, "R")
    server = make(CLIENTS.format(pair=authority.issue("localhost").directives, ca=authority.pair.certificate, verify="on", scope=scope, more=""))
    assert (verified(server, authority, good).status, responder.asked) == (200, 1)
    assert verified(server, authority, revoked).status == 400
    assert verified(server, authority, unknown).status == 400
    assert responder.asked == 3, "nothing is remembered without ssl_ocsp_cache"
    assert verified(server, authority).status == 400, "no certificate at all"
    server.wait_for_log(r"client SSL certificate verify error: certificate status unknown")
    assert "[info]" in server.error_log() and "client SSL certificate verify error: certificate revoked" in server.error_log()


def test_a_page_of_ones_own_for_the_revoked(make, authority, responder):
    revoked = authority.issue("revoked", usage="clientAuth")
    responder.says(revoked, "R")
    server = make(CLIENTS.format(pair=authority.issue("localhost").directives, ca=authority.pair.certificate, verify="optional", scope="on",
                                 more=f"ssl_ocsp_responder {responder.url}; error_page 495 =200 /sorry; location = /sorry {{ return 200 \"sorry: $ssl_client_verify\"; }}"))
    assert verified(server, authority, revoked).body == b"sorry: FAILED:certificate revoked"
    assert verified(server, authority).body == b"NONE"


def test_answers_are_kept_for_as_long_as_they_hold(make, authority, responder):
    good, revoked = (authority.issue(name, usage="clientAuth") for name in ("good", "revoked"))
    responder.says(good, "V")
    responder.says(revoked, "R")
    server = make(CLIENTS.format(pair=authority.issue("localhost").directives, ca=authority.pair.certificate, verify="on", scope="on",
                                 more=f"ssl_ocsp_responder {responder.url}; ssl_ocsp_cache shared:answers:1m;"))
    assert [verified(server, authority, good).status for _ in range(3)] == [200] * 3
    assert [verified(server, authority, revoked).status for _ in range(3)] == [400] * 3
    assert responder.asked == 2


def test_what_has_no_next_update_is_not_kept(gatehouse, authority, responder):
    good = authority.issue("good", usage="clientAuth", responder=responder.url)
    responder.says(good, "V")
    responder.days = None
    server = gatehouse(CLIENTS.format(pair=authority.issue("localhost").directives, ca=authority.pair.certificate, verify="on", scope="on",
                                      more="ssl_ocsp_cache shared:answers:1m;"))
    assert [verified(server, authority, good).status for _ in range(2)] == [200] * 2
    assert responder.asked == 2


def test_a_resumed_session_is_asked_about_again(gatehouse, authority, responder):
    alice = authority.issue("alice", usage="clientAuth", responder=responder.url)
    responder.says(alice, "V")
    server = gatehouse(CLIENTS.format(pair=authority.issue("localhost").directives, ca=authority.pair.certificate, verify="on", scope="on", more=""))
    context = authority.client(certificate=alice, versions=("TLSv1_2", "TLSv1_2"))
    first = server.connect(tls=context, name="localhost")
    assert first.request("/").status == 200
    responder.says(alice, "R")
    import socket
    with context.wrap_socket(socket.create_connection(("127.0.0.1", server.port()), timeout=10), server_hostname="localhost",
                             session=first.socket.session) as second:
        assert second.session_reused
        second.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert second.recv(100).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(("what", "told"), [
    ("nobody", r"asking the OCSP responder .* while requesting certificate status"),
    ("none named", r"no OCSP responder URL in certificate while requesting certificate status"),
    ("nonsense", r"while requesting certificate status"),
    ("another signer", r"OCSP_basic_verify\(\) failed .* while requesting certificate status"),
])
def test_who_cannot_be_asked_about_is_not_let_in(gatehouse, authority, responder, tmp_path, what, told):
    url = {"nobody": "http://127.0.0.1:1/", "none named": ""}.get(what, responder.url)
    alice = authority.issue("alice", usage="clientAuth", responder=url)
    responder.says(alice, "V")
    if what == "nonsense":
        responder.origin.answer = lambda request: reply(200, b"no", [("Content-Type", "application/ocsp-response")])
    if what == "another signer":
        responder.signer = Authority(tmp_path / "another", "Another").pair
    server = gatehouse(CLIENTS.format(pair=authority.issue("localhost").directives, ca=authority.pair.certificate, verify="on", scope="on", more=""))
    assert verified(server, authority, alice).status == 400
    server.wait_for_log(r"\[error\].*" + told)
    server.wait_for_log(r"client SSL certificate verify error: certificate status request failed")


def stapled(server) -> str:
    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port()}", "-servername", "localhost", "-status"],
                          input="", capture_output=True, text=True, timeout=20).stdout


def wait_for_staple(server) -> str:
    deadline = time.monotonic() + 10
    while "OCSP Response Status: successful" not in (seen := stapled(server)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return seen


STAPLING = """ssl_stapling on; ssl_stapling_verify on; server {{ listen 127.0.0.1:@http@ ssl; {pair} {more} return 200 x; }}"""


def with_chain(pair, authority, directory):
    chain = directory / "chain.pem"
    chain.write_bytes(pair.certificate.read_bytes() + authority.pair.certificate.read_bytes())
    return f"ssl_certificate {chain}; ssl_certificate_key {pair.key};"


def test_a_staple_is_fetched(make, authority, responder, tmp_path):
    pair = authority.issue("localhost", responder=responder.url)
    responder.says(pair, "V")
    server = make(STAPLING.format(pair=with_chain(pair, authority, tmp_path), more=f"ssl_trusted_certificate {authority.pair.certificate};"))
    assert "Cert Status: good" in wait_for_staple(server)
    assert responder.asked == (1 if server.flavour == "gatehouse" else 2), "once a process"


def test_a_responder_of_the_configuration_and_no_chain(gatehouse, authority, responder):
    pair = authority.issue("localhost")
    responder.says(pair, "V")
    server = gatehouse(STAPLING.format(pair=pair.directives,
                                       more=f"ssl_trusted_certificate {authority.pair.certificate}; ssl_stapling_responder {responder.url};"))
    assert "Cert Status: good" in wait_for_staple(server)


def test_nobody_is_told_that_our_certificate_is_revoked(gatehouse, authority, responder, tmp_path):
    pair = authority.issue("localhost", responder=responder.url)
    responder.says(pair, "R")
    server = gatehouse(STAPLING.format(pair=with_chain(pair, authority, tmp_path), more=f"ssl_trusted_certificate {authority.pair.certificate};"))
    server.wait_for_log(r'\[error\].*certificate status "revoked" in the OCSP response while requesting certificate status, responder: http')
    assert "OCSP response: no response sent" in stapled(server)


@pytest.mark.parametrize(("chain", "responder_url", "told"), [
    (False, "http://ocsp.example/", '"ssl_stapling" ignored, issuer certificate not found for certificate "{path}"'),
    (True, "", '"ssl_stapling" ignored, no OCSP responder URL in the certificate "{path}"'),
    (True, "https://ocsp.example/", '"ssl_stapling" ignored, invalid URL prefix in OCSP responder "https://ocsp.example/" in the certificate "{path}"'),
])
def test_stapling_that_cannot_work_is_warned_of(make, authority, tmp_path, chain, responder_url, told):
    pair = authority.issue("localhost", responder=responder_url)
    directives = with_chain(pair, authority, tmp_path) if chain else pair.directives
    server = make(STAPLING.format(pair=directives, more="ssl_stapling_verify off;"))
    path = re.search(r"ssl_certificate (\S+);", directives)[1]
    assert told.format(path=path) in server.output() + server.error_log()
    assert "OCSP response: no response sent" in stapled(server)
