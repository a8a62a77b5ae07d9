"""Directives that no other file is about: each is seen to do what it says."""

import asyncio
import base64
import ctypes
import gzip
import pathlib
import re
import select
import socket
import subprocess
import time

import pytest

from harness.client import Client
from harness.origin import reply

SITE = "server {{ listen 127.0.0.1:@http@; {} location / {{ {} proxy_pass http://127.0.0.1:@origin@; }} }}"
TEXT = b"some text that repeats itself, " * 400


@pytest.fixture
def origin(make_origin):
    made = make_origin()
    made.answer = lambda request: reply(200, TEXT, [("Content-Type", "text/plain")])
    return made


@pytest.fixture
def site(gatehouse, origin):
    def start(location: str = "", server: str = "", **options):
        return gatehouse(SITE.format(server, location), origin=origin.port, **options)
    return start


# ---- fields and framing ----

def test_server_tokens(gatehouse):
    server = gatehouse("""server { listen 127.0.0.1:@http@; location / { return 404; }
        location /off { server_tokens off; return 404; } location /build { server_tokens build; return 404; } }""")
    on, off, build = (server.request(path) for path in ("/", "/off", "/build"))
    assert re.fullmatch(r"gatehouse/[\d.]+", on.header("server")) and on.header("server").encode() in on.body
    assert off.header("server") == "gatehouse" and b"gatehouse/" not in off.body
    assert build.header("server").startswith(on.header("server"))


@pytest.mark.parametrize(("value", "seen"), [("on", None), ("off", "x")])
def test_ignore_invalid_headers(site, origin, value, seen):
    server = site(server=f"ignore_invalid_headers {value};")
    client = server.connect()
    client.send("GET / HTTP/1.1\r\nHost: h\r\nBad.Name: x\r\nGood: y\r\n\r\n")
    assert client.read_response().status == 200
    assert origin.requests[0].header("bad.name") == seen and origin.requests[0].header("good") == "y"


def test_client_header_buffer_size(gatehouse):
    """A head may be longer than the buffer it begins in; what it may not be is longer than the large ones."""
    server = gatehouse("""client_header_buffer_size 128; large_client_header_buffers 2 1k;
        server { listen 127.0.0.1:@http@; return 200 $http_long; }""")
    assert server.request("/", headers={"Long": "x" * 900}).body == b"x" * 900
    assert server.request("/", headers={"Long": "x" * 1100}).status == 431


@pytest.mark.parametrize("value", ["on", "off"])
def test_tcp_nodelay(gatehouse, value):
    server = gatehouse(f"tcp_nodelay {value}; server {{ listen 127.0.0.1:@http@; return 200 x; }}")
    client = server.connect()
    assert [client.request("/").status for _ in range(3)] == [200] * 3


@pytest.mark.parametrize(("value", "passed"), [("on", [("X-Sum", "1")]), ("off", [])])
@pytest.mark.parametrize("pause", [0, 0.1])
def test_proxy_pass_trailers(gatehouse, make_origin, value, passed, pause):
    async def handler(connection):
        while await connection.read_request():
            await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n1\r\na\r\n")
            await asyncio.sleep(pause)
            await connection.send(b"0\r\nX-Sum: 1\r\n\r\n")

    server = gatehouse(SITE.format("", f"proxy_http_version 1.1; proxy_pass_trailers {value};"), origin=make_origin(handler).port)
    answer = server.request("/")
    assert (answer.body, answer.trailers) == (b"a", passed)


# ---- slow and vanished clients ----

def test_client_body_min_rate(gatehouse, origin):
    server = gatehouse("""server { listen 127.0.0.1:@http@; location / { client_body_min_rate 1000; client_body_timeout 60s;
        proxy_pass http://127.0.0.1:@origin@; } }""", origin=origin.port)
    client = server.connect()
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n")
    began = time.monotonic()
    while time.monotonic() - began < 20 and not select.select([client.socket], [], [], 0.2)[0]:
        client.send("x")
    assert 4 < time.monotonic() - began < 20, "five bytes a second were let through"
    assert client.read_response().status == 408


def test_send_min_rate(gatehouse, make_origin):
    big = make_origin()
    big.answer = lambda request: reply(200, b"x" * 30_000_000)
    server = gatehouse("""server { listen 127.0.0.1:@http@; location / { send_min_rate 1m; send_timeout 60s;
        proxy_pass http://127.0.0.1:@origin@; } }""", origin=big.port)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", server.port()))
        slow.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        began = time.monotonic()
        # What the kernel holds may still reach the client; the proxy's part is over.
        while time.monotonic() - began < 20 and not server.access_log():
            time.sleep(0.05)
            slow.recv(2000)
    assert 4 < time.monotonic() - began < 20, "40 KB a second were enough"


@pytest.mark.parametrize(("value", "kept"), [("off", True), ("on", False)])
def test_proxy_ignore_client_abort(site, gatehouse, make_origin, value, kept):
    """A client that leaves takes its request to the upstream with it, unless that is to be ignored."""
    async def handler(connection):
        await connection.read_request()
        await asyncio.sleep(1.5)
        await connection.reply(200, b"late")

    server = gatehouse(SITE.format("", f"proxy_ignore_client_abort {value};"), origin=make_origin(handler).port)
    client = server.connect()
    client.send_request("/")
    time.sleep(0.3)
    client.close()
    line = server.wait_for_access('"GET / HTTP/1.1"')
    assert ('" 499 ' in line) == kept


@pytest.mark.parametrize(("value", "reads"), [("off", False), ("always", True)])
def test_lingering_close(gatehouse, value, reads):
    server = gatehouse(f"""lingering_close {value}; lingering_time 5s; lingering_timeout 2s;
        server {{ listen 127.0.0.1:@http@; client_max_body_size 1k; return 413; }}""")
    client = server.connect()
    client.send("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\n" + "x" * 10)
    assert client.read_response().status == 413
    # Whoever lingers takes what still comes; whoever doesn't answers it with a reset.
    time.sleep(0.2)
    failed = False
    try:
        for _ in range(20):
            client.send("x" * 1000, pause=0.02)
    except OSError:
        failed = True
    assert failed != reads


@pytest.mark.parametrize("value", ["on", "off"])
def test_reset_timedout_connection(gatehouse, make_origin, value):
    """Who takes nothing for too long is cut off: with a reset, which drops what the kernel still holds, or with what is left of it."""
    big = make_origin()
    big.answer = lambda request: reply(200, b"x" * 30_000_000)
    server = gatehouse(SITE.format("", f"send_timeout 500ms; reset_timedout_connection {value};"), origin=big.port)
    with socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.connect(("127.0.0.1", server.port()))
        stalled.settimeout(10)
        stalled.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        server.wait_for_access("GET / HTTP")
        time.sleep(0.2)
        reset = False
        try:
            while stalled.recv(65536):
                pass
        except ConnectionResetError:
            reset = True
    assert reset == (value == "on")


# ---- proxying ----

def test_proxy_limit_rate(gatehouse, make_origin):
    big = make_origin()
    big.answer = lambda request: reply(200, b"x" * 300_000)
    server = gatehouse(SITE.format("", "proxy_limit_rate 200k;"), origin=big.port)
    began = time.monotonic()
    assert len(server.request("/").body) == 300_000
    assert time.monotonic() - began > 0.4


def test_proxy_buffers_and_socket_keepalive(site):
    server = site("proxy_buffers 2 1k; proxy_buffer_size 1k; proxy_socket_keepalive on;")
    assert server.request("/").body == TEXT


def test_stream_upload_rate(gatehouse, make_origin):
    got = make_origin()
    server = gatehouse("", main="stream { server { listen 127.0.0.1:@in@; proxy_upload_rate 100k; proxy_pass 127.0.0.1:@origin@; } }",
                       origin=got.port)
    began = time.monotonic()
    client = Client(server.port("in"))
    assert client.request("/", method="POST", body=b"x" * 200_000).status == 200
    assert time.monotonic() - began > 0.8


@pytest.fixture
def tls_origin(make_origin, authority):
    def start(**options):
        from harness.tls import server_context
        context = server_context(authority.issue("origin.example"))
        for name, value in options.items():
            setattr(context, name, value)
        made = make_origin(tls=context)
        made.answer = lambda request: reply(200, b"over tls")
        return made
    return start


UPSTREAM_TLS = """server {{ listen 127.0.0.1:@http@; location / {{ proxy_pass https://127.0.0.1:@origin@; proxy_ssl_name origin.example;
    proxy_ssl_server_name on; proxy_ssl_verify on; proxy_ssl_trusted_certificate {ca}; {more} }} }}"""


@pytest.mark.parametrize(("more", "status"), [
    ("", 200),
    ("proxy_ssl_protocols TLSv1.2; proxy_ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256;", 200),
    ("proxy_ssl_protocols TLSv1.2; proxy_ssl_ciphers ECDHE-RSA-AES128-GCM-SHA256;", 502),
    ("proxy_ssl_verify_depth 0;", 200),
    ("proxy_ssl_session_reuse off;", 200),
    ("proxy_ssl_conf_command MinProtocol TLSv1.3;", 200),
    ("proxy_ssl_conf_command MaxProtocol TLSv1.1;", 502),
])
def test_tls_to_the_upstream(gatehouse, authority, tls_origin, more, status):
    server = gatehouse(UPSTREAM_TLS.format(ca=authority.pair.certificate, more=more), origin=tls_origin().port)
    assert [server.request("/").status for _ in range(2)] == [status] * 2


def crl_of(authority, directory: pathlib.Path, *revoked) -> pathlib.Path:
    directory.mkdir(exist_ok=True)
    (directory / "index").write_text("")
    config = directory / "ca.conf"
    config.write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={directory}/index\ndefault_md=sha256\ndefault_crl_days=30\n")
    keys = ["-cert", authority.pair.certificate, "-keyfile", authority.pair.key, "-config", config]
    for pair in revoked:
        subprocess.run(["openssl", "ca", "-revoke", pair.certificate, *keys], check=True, capture_output=True)
    made = directory / "crl.pem"
    subprocess.run(["openssl", "ca", "-gencrl", "-out", made, *keys], check=True, capture_output=True)
    return made


def test_proxy_ssl_crl(gatehouse, authority, make_origin, tmp_path):
    from harness.tls import server_context
    pair = authority.issue("origin.example")
    made = make_origin(tls=server_context(pair))
    made.answer = lambda request: reply(200, b"x")
    for name, revoked, status in (("none", [], 200), ("revoked", [pair], 502)):
        crl = crl_of(authority, tmp_path / name, *revoked)
        server = gatehouse(UPSTREAM_TLS.format(ca=authority.pair.certificate, more=f"proxy_ssl_crl {crl};"), origin=made.port)
        assert server.request("/").status == status, name


def encrypted(pair, directory: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    key, passwords = directory / "encrypted.key", directory / "passwords"
    subprocess.run(["openssl", "ec", "-in", pair.key, "-aes256", "-passout", "pass:right", "-out", key], check=True, capture_output=True)
    passwords.write_text("wrong\nright\n")
    return key, passwords


def test_password_files(gatehouse, authority, make_origin, tmp_path):
    from harness.tls import server_context
    pair, mine = authority.issue("localhost"), authority.issue("gatehouse", usage="clientAuth")
    key, passwords = encrypted(pair, tmp_path)
    (tmp_path / "own").mkdir()
    own_key, own_passwords = encrypted(mine, tmp_path / "own")
    inner = make_origin(tls=server_context(authority.issue("origin.example"), client_authority=authority))
    inner.answer = lambda request: reply(200, b"both keys were opened")
    server = gatehouse(f"""server {{ listen 127.0.0.1:@http@ ssl; ssl_certificate {pair.certificate}; ssl_certificate_key {key};
        ssl_password_file {passwords}; location / {{ proxy_pass https://127.0.0.1:@origin@; proxy_ssl_certificate {mine.certificate};
        proxy_ssl_certificate_key {own_key}; proxy_ssl_password_file {own_passwords}; }} }}""", origin=inner.port)
    assert server.connect(tls=authority.client(), name="localhost").request("/").body == b"both keys were opened"


# ---- TLS of the server ----

TLS = """server {{ listen 127.0.0.1:@http@ ssl; {pair} {more}
    return 200 "$ssl_protocol $ssl_cipher $ssl_curve $ssl_client_verify $ssl_early_data."; }}"""


def told(server, context, name="localhost") -> list[str]:
    return server.connect(tls=context, name=name).request("/").body.decode().split(" ")


def test_ciphers_curves_and_commands(gatehouse, authority):
    pair = authority.issue("localhost").directives
    old = authority.client(versions=("TLSv1_2", "TLSv1_2"))
    server = gatehouse(TLS.format(pair=pair, more="ssl_ciphers ECDHE-ECDSA-CHACHA20-POLY1305; ssl_ecdh_curve secp384r1; ssl_buffer_size 4k;"))
    assert told(server, old)[:3] == ["TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305", "secp384r1"]
    server = gatehouse(TLS.format(pair=pair, more="ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;"))
    assert told(server, authority.client())[1] == "TLS_AES_256_GCM_SHA384"
    server = gatehouse(TLS.format(pair=pair, more="ssl_conf_command Ciphersuites TLS_CHACHA20_POLY1305_SHA256;"))
    assert told(server, authority.client())[1] == "TLS_CHACHA20_POLY1305_SHA256"


def test_dhparam(gatehouse, authority, tmp_path):
    parameters = tmp_path / "dh.pem"
    subprocess.run(["openssl", "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048", "-out", parameters],
                   check=True, capture_output=True)
    server = gatehouse(TLS.format(pair=authority.issue("localhost", kind="rsa").directives,
                                  more=f"ssl_protocols TLSv1.2; ssl_ciphers DHE-RSA-AES256-GCM-SHA384; ssl_dhparam {parameters};"))
    assert told(server, authority.client())[1] == "DHE-RSA-AES256-GCM-SHA384"


def test_session_ticket_key_is_shared_by_servers(gatehouse, authority, tmp_path):
    key = tmp_path / "ticket.key"
    key.write_bytes(bytes(range(80)))
    pair = authority.issue("localhost").directives
    servers = [gatehouse(TLS.format(pair=pair, more=f"ssl_session_ticket_key {key};")) for _ in range(2)]
    context = authority.client(versions=("TLSv1_2", "TLSv1_2"))
    first = servers[0].connect(tls=context, name="localhost")
    first.request("/")
    raw = socket.create_connection(("127.0.0.1", servers[1].port()), timeout=10)
    with context.wrap_socket(raw, server_hostname="localhost", session=first.socket.session) as second:
        assert second.session_reused


CLIENTS = """server {{ listen 127.0.0.1:@http@ ssl; {pair} ssl_verify_client on; {more}
    return 200 "$ssl_client_verify"; }}"""


def test_trust_depth_and_revocation_of_clients(gatehouse, authority, tmp_path):
    pair, alice = authority.issue("localhost").directives, authority.issue("alice", usage="clientAuth")
    ca = authority.pair.certificate
    context = authority.client(certificate=alice)
    for name, more, status in (
            ("depth", f"ssl_client_certificate {ca}; ssl_verify_depth 1;", 200),
            ("trusted", f"ssl_trusted_certificate {ca};", 200),
            ("good", f"ssl_client_certificate {ca}; ssl_crl {crl_of(authority, tmp_path / 'good')};", 200),
            ("revoked", f"ssl_client_certificate {ca}; ssl_crl {crl_of(authority, tmp_path / 'revoked', alice)};", 400)):
        server = gatehouse(CLIENTS.format(pair=pair, more=more))
        assert server.connect(tls=context, name="localhost").request("/").status == status, name


def test_a_stapled_answer_from_a_file(gatehouse, authority, tmp_path):
    pair = authority.issue("localhost")
    index = tmp_path / "index"
    serial = subprocess.run(["openssl", "x509", "-in", pair.certificate, "-noout", "-serial"], check=True, capture_output=True, text=True)
    index.write_text(f"V\t401231235959Z\t\t{serial.stdout.strip().split('=')[1]}\tunknown\t/CN=localhost\n")
    answer = tmp_path / "ocsp.der"
    ask = tmp_path / "ask.der"
    ca = authority.pair.certificate
    subprocess.run(["openssl", "ocsp", "-issuer", ca, "-cert", pair.certificate, "-reqout", ask, "-no_nonce"], check=True, capture_output=True)
    subprocess.run(["openssl", "ocsp", "-index", index, "-rsigner", ca, "-rkey", authority.pair.key, "-CA", ca, "-reqin", ask, "-respout", answer,
                    "-ndays", "5"], check=True, capture_output=True)
    server = gatehouse(TLS.format(pair=pair.directives, more=f"ssl_stapling on; ssl_stapling_file {answer};"))
    seen = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port()}", "-servername", "localhost", "-status"],
                          input="", capture_output=True, text=True, timeout=20)
    assert "OCSP Response Status: successful" in seen.stdout and "Cert Status: good" in seen.stdout


# ---- files and encodings ----

def brotli_decoded(data: bytes, size: int) -> bytes:
    decoder = ctypes.CDLL("libbrotlidec.so.1")
    out = ctypes.create_string_buffer(size + 1)
    length = ctypes.c_size_t(size + 1)
    decoder.BrotliDecoderDecompress.argtypes = [ctypes.c_size_t, ctypes.c_char_p, ctypes.POINTER(ctypes.c_size_t), ctypes.c_char_p]
    assert decoder.BrotliDecoderDecompress(len(data), data, ctypes.byref(length), out) == 1
    return out.raw[:length.value]


def test_brotli(site):
    server = site("brotli on; brotli_types text/plain; brotli_comp_level 5; brotli_window 64k; brotli_min_length 100;")
    answer = server.request("/", headers={"Accept-Encoding": "gzip, br"})
    assert answer.header("content-encoding") == "br"
    assert len(answer.body) < len(TEXT) / 10 and brotli_decoded(answer.body, len(TEXT)) == TEXT
    assert server.request("/", headers={"Accept-Encoding": "gzip"}).header("content-encoding") is None
    assert server.request("/", headers={"Accept-Encoding": "br;q=0"}).header("content-encoding") is None


def test_brotli_leaves_what_is_short_or_of_another_type(gatehouse, make_origin):
    small = make_origin()
    small.answer = lambda request: reply(200, TEXT if request.target == "/png" else b"x" * 50,
                                         [("Content-Type", "image/png" if request.target == "/png" else "text/plain")])
    server = gatehouse(SITE.format("", "brotli on; brotli_types text/plain; brotli_min_length 51;"), origin=small.port)
    for path in ("/png", "/short"):
        assert server.request(path, headers={"Accept-Encoding": "br"}).header("content-encoding") is None, path


def test_brotli_static(gatehouse, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"plain")
    (tmp_path / "a.txt.br").write_bytes(b"pretends to be brotli")
    server = gatehouse(f"""server {{ listen 127.0.0.1:@http@; root {tmp_path}; types {{ text/plain txt; }} brotli_static on;
        location /always/ {{ alias {tmp_path}/; brotli_static always; }} }}""")
    packed = server.request("/a.txt", headers={"Accept-Encoding": "br"})
    assert packed.body == b"pretends to be brotli" and packed.header("content-encoding") == "br" and packed.header("content-type") == "text/plain"
    assert server.request("/a.txt").body == b"plain"
    assert server.request("/always/a.txt").body == b"pretends to be brotli"


def test_gzip_comp_level_and_http_version(gatehouse, make_origin):
    made = make_origin()
    text = b"".join(b"line %d of a long page, as pages are\n" % i for i in range(3000))
    made.answer = lambda request: reply(200, text, [("Content-Type", "text/html")])
    server = gatehouse("""gzip on; server { listen 127.0.0.1:@http@; location / { gzip_comp_level 1; proxy_pass http://127.0.0.1:@origin@; }
        location /best { gzip_comp_level 9; proxy_pass http://127.0.0.1:@origin@; }
        location /old { gzip_http_version 1.0; proxy_pass http://127.0.0.1:@origin@; } }""", origin=made.port)
    packed = [server.request(path, headers={"Accept-Encoding": "gzip"}).body for path in ("/", "/best")]
    assert [gzip.decompress(body) for body in packed] == [text, text]
    assert len(packed[1]) < len(packed[0])
    for path, coding in (("/", None), ("/old", "gzip")):
        client = server.connect()
        client.send(f"GET {path} HTTP/1.0\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n")
        assert client.read_response().header("content-encoding") == coding


def test_folders_by_local_time_and_at_random(gatehouse, tmp_path):
    (tmp_path / "dir").mkdir()
    for name in ("one", "two", "three"):
        (tmp_path / "dir" / name).write_text(name)
    server = gatehouse(f"""server {{ listen 127.0.0.1:@http@; location /list/ {{ alias {tmp_path}/dir/; autoindex on; }}
        location /local/ {{ alias {tmp_path}/dir/; autoindex on; autoindex_localtime on; }}
        location /any/ {{ alias {tmp_path}/dir/; random_index on; }} }}""", main="env TZ=Asia/Tokyo;")
    bodies = {server.request("/any/").body for _ in range(60)}
    assert bodies == {b"one", b"two", b"three"}
    stamp = rb"\d\d-\w{3}-\d{4} (\d\d):\d\d"
    assert re.search(stamp, server.request("/list/").body) and re.search(stamp, server.request("/local/").body)


@pytest.mark.parametrize(("value", "status"), [("off", 200), ("on", 403), ("if_not_owner", 200)])
def test_disable_symlinks(gatehouse, tmp_path, value, status):
    (tmp_path / "target").write_text("reached")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    server = gatehouse(f"server {{ listen 127.0.0.1:@http@; disable_symlinks {value}; location / {{ root {tmp_path}; }} }}")
    assert server.request("/link").status == status
    assert server.request("/target").status == 200


# ---- limits and identity ----

def test_dry_runs_and_levels(gatehouse):
    server = gatehouse("""limit_conn_zone $host zone=c:1m; limit_req_zone $host zone=r:1m rate=1r/m;
        server { listen 127.0.0.1:@http@; location /dry { limit_conn c 1; limit_conn_dry_run on; return 200 "$limit_conn_status"; }
        location /loud { limit_req zone=r; limit_req_log_level warn; try_files /none =404; } }""")
    assert server.request("/dry").status == 200
    statuses = [server.request("/loud").status for _ in range(2)]
    assert statuses == [404, 503]
    server.wait_for_log(r"\[warn\].*limiting requests, excess: \d")


def test_auth_delay(gatehouse, tmp_path):
    (tmp_path / "users").write_text("alice:{PLAIN}secret\n")
    server = gatehouse(f"""server {{ listen 127.0.0.1:@http@; auth_basic realm; auth_basic_user_file {tmp_path}/users; auth_delay 700ms;
        location / {{ try_files /none =404; }} }}""")
    began = time.monotonic()
    assert server.request("/").status == 401
    assert time.monotonic() - began > 0.6
    began = time.monotonic()
    assert server.request("/", headers={"Authorization": "Basic YWxpY2U6c2VjcmV0"}).status == 404
    assert time.monotonic() - began < 0.6


def test_the_rest_of_userid(gatehouse):
    server = gatehouse("""server { listen 127.0.0.1:@http@; userid on; userid_name u; userid_expires 1d; userid_p3p 'policyref="/p3p"';
        userid_mark A; userid_service 7; return 200 x; }""")
    answer = server.request("/")
    cookie = answer.header("set-cookie")
    assert re.search(r"expires=\w{3}, \d\d-\w{3}-\d\d(\d\d)? [\d:]{8} GMT", cookie) and answer.header("p3p") == 'policyref="/p3p"'
    value = cookie.split("=", 1)[1].split(";")[0]
    assert value[22] == "A"
    assert base64.b64decode(value[:22] + "==")[:4] == b"\0\0\0\x07"
    marked = server.request("/", headers={"Cookie": f"u={value}"})
    assert marked.header("set-cookie") is None
    other = value[:22] + "B" + value[23:]
    assert server.request("/", headers={"Cookie": f"u={other}"}).header("set-cookie") is not None, "another mark is set anew"
