"""What happens when the WAF's fast path is wrong: the library's finding is told, counted, and ends the trust in that rule set.

No request is known on which it is wrong, so these tests give the binary an RE2 with a fault (support/blind_patterns.cpp), which sees
nothing in a text with the word "unseen"."""

import ast
import re
import shutil
import signal
import subprocess
import time

import pytest

from harness.origin import reply
from harness.server import ROOT

RULES = r"""SecRuleEngine On
SecRequestBodyAccess On
SecResponseBodyAccess On
SecResponseBodyMimeType text/plain
SecRule ARGS|REQUEST_HEADERS:X-Asked "@rx attack\d" "id:1001,phase:2,deny,status:403,log,msg:attack"
SecRule RESPONSE_BODY "@rx leak\d" "id:1002,phase:4,deny,status:403,log,msg:leak"
"""
OTHER_RULES = RULES.replace("id:1001", "id:2001").replace("id:1002", "id:2002")
SITE = f"""
modsecurity on;
server {{
    listen 127.0.0.1:@http@;
    modsecurity_rules '{RULES}';
    location / {{ proxy_pass http://127.0.0.1:@origin@; }}
    location /shadow {{ waf_fast_path shadow; proxy_pass http://127.0.0.1:@origin@; }}
    location /sampled {{ waf_shadow_sample 1; proxy_pass http://127.0.0.1:@origin@; }}
}}
server {{
    listen 127.0.0.1:@other@;
    modsecurity_rules '{OTHER_RULES}';
    location / {{ proxy_pass http://127.0.0.1:@origin@; }}
}}
"""
ALERT = (r"\[alert\].*the WAF's fast path called a message clean in which rules \[([\d, ]+)\] of rule set (\w+) match(.*?): "
         r"client 127.0.0.1:\d+, server 127.0.0.1:\d+, request (.*)")
SWITCHED_OFF = "; the fast path is off for this rule set until it changes"


@pytest.fixture(scope="module")
def blind_patterns(tmp_path_factory) -> dict[str, str]:
    """The environment of a server whose RE2 has the fault."""
    library = tmp_path_factory.mktemp("blind") / "blind_patterns.so"
    compiler = shutil.which("clang++-19") or shutil.which("c++")
    assert compiler, "no C++ compiler: conf/packages/install.sh build installs one"
    subprocess.run([compiler, "-std=c++20", "-O1", "-shared", "-fPIC", "-o", library, ROOT / "tests/support/blind_patterns.cpp"],
                   check=True)
    return {"LD_PRELOAD": str(library)}


def disagreements(server) -> float:
    return server.metric("gatehouse_waf_fast_path_disagreements_total")


@pytest.fixture
def site(gatehouse, origin, blind_patterns):
    server = gatehouse(SITE, origin=origin.port, environment=blind_patterns)
    server.allow_log("the WAF's fast path called a message clean")
    return server


def way_of_a_clean_request(server, port: str = "http") -> str:
    """How it went through the WAF: the path, or the reason of the full one."""
    names = [{"path": "proven"}, {"path": "near_miss"}, {"path": "full", "reason": "distrusted"}]

    def read() -> list[float]:
        return [server.metric("gatehouse_waf_requests_total", **labels) for labels in names]

    before = read()
    assert server.request("/page", port=port).status == 200
    deadline = time.monotonic() + 10
    while (after := read()) == before:
        assert time.monotonic() < deadline, "the request was not counted"
        time.sleep(0.02)
    return next(names[i].get("reason", names[i]["path"]) for i in range(len(names)) if after[i] != before[i])


def told(text: str) -> list[bytes]:
    """The quoted texts of a part of the log line, as bytes."""
    return [ast.literal_eval(f'b"{quoted}"') for quoted in re.findall(r'"([^"]*)"', text)]


def messages_of(alert: re.Match[str]) -> tuple[bytes, tuple]:
    """What was told, made messages again: the request's bytes, and the response's status, fields and body."""
    request, _, response = alert[4].partition(", response ")
    line, *fields, body = told(request)
    sent = b"\r\n".join([line, *fields, b"", body])
    if not response:
        return sent, (200, b"", [])
    *response_fields, response_body = told(response)
    pairs = [tuple(field.decode().split(": ", 1)) for field in response_fields]
    return sent, (int(response.split()[0]), response_body, [(name, value) for name, value in pairs if name != "Content-Length"])


ODD = b'text=attack1+%22unseen\xff"\\b\x01c'
FORM = ("Content-Type", "application/x-www-form-urlencoded")
PLAIN = ("Content-Type", "text/plain")
# The request, the origin's answer, the rule that the fast path doesn't see match.
MESSAGES = {
    "a query": (("?q=attack1+unseen", {}), (200, b"fine", [PLAIN]), "1001"),
    "a header": (("", {"headers": [("X-Asked", 'attack1 "unseen" \\')]}), (200, b"fine", [PLAIN]), "1001"),
    "a form": (("", {"method": "POST", "headers": [FORM], "body": ODD}), (200, b"fine", [PLAIN]), "1001"),
    "a response": (("?q=1", {}), (200, b'leak1 unseen \xff"\\\r\n\x00', [PLAIN, ("X-Told", "by the origin")]), "1002"),
}


@pytest.mark.parametrize("place", ["/shadow", "/sampled"])
@pytest.mark.parametrize("name", MESSAGES)
def test_a_disagreement_is_told_counted_and_ends_the_trust_in_the_rule_set(site, origin, place, name):
    (target, options), answer, rule = MESSAGES[name]
    origin.answer = lambda request: reply(*answer)
    assert way_of_a_clean_request(site, "other") == "proven"
    assert disagreements(site) == 0
    # In shadow the library decides. A sample is evaluated when the answer, which the wrong proof let through, is out.
    assert site.request(place + target, **options).status == (403 if place == "/shadow" else 200)

    alert = re.search(ALERT, site.wait_for_log(ALERT))
    assert alert and alert[1] == rule
    assert alert[3] == SWITCHED_OFF
    assert disagreements(site) == 1
    assert site.metric("gatehouse_waf_fast_path_state", state="distrusted") >= 1

    # What was told is enough to have it again; and the library alone judges now.
    request, told_answer = messages_of(alert)
    origin.answer = lambda request: reply(*told_answer)
    client = site.connect()
    client.send(request)
    assert client.read_response().status == 403
    site.wait_for_log(rf'\[id "{rule}"\]')
    assert disagreements(site) == 1
    origin.answer = lambda request: reply(200, b"fine", [PLAIN])
    assert way_of_a_clean_request(site) == "distrusted"
    assert way_of_a_clean_request(site, "other") == "proven"


def test_the_trust_comes_back_with_other_rules_and_not_with_a_reload(site):
    def reload() -> None:
        generation = site.metric("gatehouse_config_generation")
        site.signal(signal.SIGHUP)
        deadline = time.monotonic() + 20
        while site.metric("gatehouse_config_generation") == generation:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    assert site.request("/shadow?q=attack1+unseen").status == 403
    site.wait_for_log(ALERT)
    reload()
    assert way_of_a_clean_request(site) == "distrusted"
    site.configure(replace=("id:1001", "id:1003"))
    reload()
    assert way_of_a_clean_request(site) == "proven"
    assert site.metric("gatehouse_waf_fast_path_state", state="distrusted") == 0


def test_without_the_fault_nothing_is_told(gatehouse, origin):
    server = gatehouse(SITE, origin=origin.port)
    for place in ("/shadow", "/sampled", "/"):
        assert server.request(place + "?q=attack1+unseen").status == 403
    assert disagreements(server) == 0
    assert way_of_a_clean_request(server) == "proven"
