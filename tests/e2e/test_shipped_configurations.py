"""Every configuration that is shipped is good, and the demo does what `make run` says it does."""

import re
import shutil
import subprocess

import pytest

from harness.ports import free_port
from harness.server import MODSECURITY_MODULE, NGINX_FOLDERS, ROOT, binary


@pytest.fixture
def place(tmp_path, authority):
    """A folder that stands for the machine: the shipped files with every absolute path moved below it, and certificates."""
    tmp_path.chmod(0o755)
    for folder in ("etc/gatehouse/tls", "etc/gatehouse/sites", "var/log/gatehouse", "var/lib/gatehouse", "run/gatehouse"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copytree(ROOT / "rules", tmp_path / "etc/gatehouse/rules")
    for name, kind in [("default", "ec"), ("shop.ecdsa", "ec"), ("shop.rsa", "rsa"), ("api", "ec"), ("partners", "ec")]:
        pair = authority.issue("shop.example.com", kind=kind)
        shutil.copy(pair.certificate, tmp_path / f"etc/gatehouse/tls/{name}.crt")
        shutil.copy(pair.key, tmp_path / f"etc/gatehouse/tls/{name}.key")
        (tmp_path / f"etc/gatehouse/tls/{name}.key").chmod(0o600)
    return tmp_path


def moved(place, text: str) -> str:
    return re.sub(r"(?<=[\s\"'])/(?:etc|run|var/log|var/lib)/gatehouse", lambda match: f"{place}{match[0]}", text)


def check(place, text: str) -> None:
    for rules in (place / "etc/gatehouse/rules").glob("*.conf"):
        rules.write_text(moved(place, rules.read_text()))
    file = place / "etc/gatehouse/gatehouse.conf"
    file.write_text(moved(place, text))
    done = subprocess.run([str(binary()), "-t", "-c", str(file)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr


def test_the_package_s_default(place):
    check(place, (ROOT / "conf/gatehouse.conf").read_text())


def test_the_package_s_default_with_a_site(place):
    (place / "etc/gatehouse/sites/one.conf").write_text("server { listen 443 ssl; server_name one.example; location / { proxy_pass http://127.0.0.1:81; } }\n")
    check(place, (ROOT / "conf/gatehouse.conf").read_text())


@pytest.mark.parametrize("example", sorted(path.name for path in (ROOT / "conf/examples").glob("*.conf")))
def test_every_example(place, example):
    check(place, (ROOT / "conf/examples" / example).read_text())


def test_the_edge_example_is_nginx_s_language(place):
    """nginx takes it too, without the one directive of our own."""
    for rules in (place / "etc/gatehouse/rules").glob("*.conf"):
        rules.write_text(moved(place, rules.read_text()))
    text = moved(place, (ROOT / "conf/examples/edge.conf").read_text())
    text = re.sub(r"^admin_listen.*$", f"load_module {MODSECURITY_MODULE};", text, flags=re.MULTILINE)
    for port in ("80", "443"):
        text = re.sub(rf"(listen\s+){port}\b", rf"\g<1>127.0.0.1:{free_port()}", text)
    folders = NGINX_FOLDERS.replace("@dir@", str(place)) + f"\nclient_body_temp_path {place}/body;"
    text = text.replace("http {", "http {\n" + folders, 1)
    file = place / "nginx.conf"
    file.write_text(text)
    done = subprocess.run(["/usr/sbin/nginx", "-t", "-p", str(place), "-c", str(file), "-e", str(place / "error.log")],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.smoke
def test_the_demo_does_what_it_says(gatehouse, authority):
    """The three commands that `make run` prints, on other ports: a clean request, an attack, the metrics."""
    text = (ROOT / "conf/demo.conf").read_text()
    pair = authority.issue("localhost")
    for old, new in [("8443", "@http@"), ("8080", "@plain@"), ("8081", "@inner@"), ("10254", "@admin@"), ("run/gatehouse.pid", "@dir@/pid"),
                     ("run/access.log", "@dir@/access.log"), ("run/audit.log", "@dir@/audit.log"), ("stderr info", "@dir@/error.log info"),
                     ("../run/demo.crt", str(pair.certificate)), ("../run/demo.key", str(pair.key)), ("../rules/", f"{ROOT}/rules/")]:
        assert old in text, old
        text = text.replace(old, new)
    server = gatehouse("", start=False)
    server._template = text
    server.start()
    tls, headers = authority.client(), {"User-Agent": "curl/7.88.1", "Accept": "*/*"}
    clean = server.request("/", tls=tls, headers=headers)
    assert clean.status == 200
    assert clean.body.startswith(b"Hello from the demo origin.")
    attack = server.request("/?q=1%27%20or%20%271%27%3D%271", tls=tls, headers=headers)
    assert attack.status == 403
    server.wait_for_log(r'\[id "942100"\]')
    redirect = server.request("/x?y", port="plain", headers=headers)
    assert (redirect.status, redirect.header("location")) == (301, f"https://localhost:{server.port()}/x?y")
    metrics = server.metrics()
    for status in ("200", "403"):
        assert re.search(rf'^gatehouse_requests_total\{{(?=[^}}]*status="{status}")(?=[^}}]*route="/")[^}}]*\}} 1', metrics, re.MULTILINE), metrics
