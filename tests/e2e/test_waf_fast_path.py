"""The WAF's fast path through the proxy: what is proven and what is not, and that verdicts are the library's either way."""

import json
import re
import time
from urllib.parse import urlencode

import pytest

from harness.origin import reply
from harness.server import ROOT

BROWSER = [("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
           ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
           ("Accept-Language", "en-US,en;q=0.5"), ("Cookie", "session=8f14e45fceea167a; theme=dark; lang=en")]
SQLI = "1' or '1'='1"
SITE = f"""
modsecurity on;
modsecurity_rules_file {ROOT}/rules/gatehouse-crs.conf;
modsecurity_rules 'SecAuditLog @dir@/audit.log';
modsecurity_transaction_id $http_x_test_id;
server {{
    listen 127.0.0.1:@http@;
    location / {{ proxy_pass http://127.0.0.1:@origin@; }}
    location /library {{ waf_fast_path off; proxy_pass http://127.0.0.1:@origin@; }}
    location /shadow {{ waf_fast_path shadow; proxy_pass http://127.0.0.1:@origin@; }}
    location /sampled {{ waf_shadow_sample 1; proxy_pass http://127.0.0.1:@origin@; }}
    location /not-inspected {{ waf_mode off; proxy_pass http://127.0.0.1:@origin@; }}
    location /detect {{ waf_mode detect; proxy_pass http://127.0.0.1:@origin@; }}
    location /without-rule {{ waf_remove_rule 942000-942999; proxy_pass http://127.0.0.1:@origin@; }}
    location /without-tag {{ waf_remove_tag attack-sqli; proxy_pass http://127.0.0.1:@origin@; }}
    location /without-target {{ waf_remove_target 942100 ARGS:q; proxy_pass http://127.0.0.1:@origin@; }}
    location /strict {{ waf_paranoia_level 4; proxy_pass http://127.0.0.1:@origin@; }}
    location /lenient {{ waf_anomaly_threshold 1000; proxy_pass http://127.0.0.1:@origin@; }}
    location /short {{ waf_body_limit 1k reject; proxy_pass http://127.0.0.1:@origin@; }}
    location /local {{ return 500; }}
}}
"""


class Site:
    """A server with CRS; every request gets an id of its own to find its log lines by."""

    def __init__(self, server, origin):
        self.server, self.origin, self.number = server, origin, 0

    def request(self, target="/", *, headers=(), **options):
        self.number += 1
        self.id = f"fast-{self.number:06}"
        return self.server.request(target, headers=[*BROWSER, ("X-Test-Id", self.id), *headers], host="www.example.com", **options)

    def rule_ids(self, expected: str) -> set[str]:
        self.server.wait_for_log(rf'\[id "{expected}"\].*\[unique_id "{self.id}"\]')
        return {found for line in self.server.error_log().splitlines() if f'[unique_id "{self.id}"]' in line
                for found in re.findall(r'\[id "(\d+)"\]', line)}

    def ways(self) -> dict[str, float]:
        return {path: self.server.metric("gatehouse_waf_requests_total", path=path) for path in ("off", "proven", "near_miss", "full")}

    def way_of(self, act) -> dict[str, float]:
        """How requests went through the WAF while `act` ran; they are counted when they end, a moment after their answer."""
        before = self.ways()
        act()
        deadline = time.monotonic() + 10
        while (after := self.ways()) == before:
            assert time.monotonic() < deadline, "no request was counted"
            time.sleep(0.02)
        return {path: after[path] - before[path] for path in after if after[path] != before[path]}


@pytest.fixture(scope="module")
def site(shared_gatehouse, make_shared_origin):
    origin = make_shared_origin()
    return Site(shared_gatehouse(SITE, origin=origin.port), origin)


@pytest.fixture
def answer(site):
    """answer(status, body, headers): what the origin says in this test."""
    def set_answer(*arguments, **options):
        site.origin.answer = lambda request: reply(*arguments, **options)
    yield set_answer
    site.origin.answer = site.origin.describe


def form(**fields: str) -> dict:
    return {"method": "POST", "body": urlencode(fields).encode(), "headers": [("Content-Type", "application/x-www-form-urlencoded")]}


def json_body(value) -> dict:
    return {"method": "POST", "body": json.dumps(value).encode(), "headers": [("Content-Type", "application/json")]}


CLEAN = {
    "a page": ("/", {}),
    "a query": ("/shop/items?page=2&sort=name&q=blue+suede+shoes&lang=en", {}),
    "a form": ("/", form(name="Ada Lovelace", city="London", comment="A fine engine")),
    "JSON": ("/", json_body({"name": "Ada", "tags": ["a", "b"], "address": {"city": "London", "number": 12}})),
    "a form longer than what stays in memory": ("/", form(**{f"field{i}": "some words of a longer text " * 20 for i in range(60)})),
}


def audit_of(site: Site) -> str:
    """The audit record of the last request; waits for it."""
    path = site.server.config.parent / "audit.log"
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        text = path.read_text(errors="replace") if path.exists() else ""
        for record in re.split(r"(?=^---\w+---A--$)", text, flags=re.MULTILINE):
            if site.id in record and "-Z--" in record:
                return record
        time.sleep(0.05)
    raise AssertionError(f"no audit record of {site.id}")


@pytest.mark.smoke
@pytest.mark.parametrize("name", CLEAN)
def test_clean_requests_never_meet_the_library(site, name):
    target, options = CLEAN[name]
    transactions = site.server.metric("gatehouse_waf_transactions_total")
    seen = {}

    def act():
        seen["status"] = site.request(target, **options).status

    ways = site.way_of(act)
    assert seen["status"] == 200
    assert set(ways) <= {"proven", "near_miss"}, ways
    assert site.server.metric("gatehouse_waf_transactions_total") == transactions


ATTACKS = {
    "SQL in the query": ("?q=" + "1%27%20or%20%271%27=%271", {}, "942100"),
    "script in the query": ("?q=%3Cscript%3Ealert(1)%3C/script%3E", {}, "941100"),
    "SQL in a form": ("", form(q=SQLI), "942100"),
    "SQL in JSON": ("", json_body({"a": {"q": SQLI}}), "942100"),
    "SQL in a cookie": ("", {"headers": [("Cookie", f"a={SQLI}")]}, "942100"),
}


@pytest.mark.smoke
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_meets_the_same_rules_with_and_without_the_fast_path(site, name):
    target, options, rule = ATTACKS[name]
    found = {}
    for place in ("/fast", "/library"):
        ways = site.way_of(lambda place=place: found.update(status=site.request(place + target, **options).status))
        assert ways == {"full": 1}
        assert found["status"] == 403
        found[place] = site.rule_ids(rule)
    assert found["/fast"] == found["/library"]


def test_what_is_not_proven_is_evaluated_without_the_rules_that_are_known_to_fail(site):
    narrowed = site.server.metric("gatehouse_waf_requests_narrowed_total")
    assert site.request(f"/?{urlencode({'q': SQLI})}").status == 403
    assert site.server.metric("gatehouse_waf_requests_narrowed_total") == narrowed + 1
    assert site.request(f"/shadow?{urlencode({'q': SQLI})}").status == 403
    assert site.server.metric("gatehouse_waf_requests_narrowed_total") == narrowed + 1  # in shadow all rules judge


def test_a_leaking_response_is_blocked_with_the_request_taken_along(site, answer):
    """The request is proven, the response is not: both are evaluated, and the verdict is the library's."""
    answer(200, b"<html><b>Fatal error</b>: Uncaught in /var/www/index.php on line 3 <?php echo shell_exec($_GET['c']); ?></html>",
           [("Content-Type", "text/html")])
    assert site.request("/page").status == 403
    fast = site.rule_ids("959100")
    assert site.request("/library").status == 403
    assert site.rule_ids("959100") == fast
    answer(200, b"<html><body>Welcome</body></html>", [("Content-Type", "text/html")])
    assert set(site.way_of(lambda: site.request("/page"))) <= {"proven", "near_miss"}


@pytest.mark.parametrize("status", [403, 500, 503])
def test_a_proven_request_with_a_relevant_status_gets_its_audit_record(site, answer, status):
    answer(status, b"no", [("Content-Type", "text/plain"), ("X-Told", "by the origin")])
    assert site.request("/audited", headers=[("X-Asked", "by the client")]).status == status
    record = audit_of(site)
    assert "GET /audited" in record and "X-Asked: by the client" in record and "X-Told: by the origin" in record


def test_a_local_answer_with_a_relevant_status_gets_its_audit_record(site):
    assert site.request("/local").status == 500
    assert "GET /local" in audit_of(site)


@pytest.mark.parametrize("status", [200, 404])
def test_statuses_that_the_audit_log_does_not_want_cost_nothing(site, answer, status):
    answer(status, b"page", [("Content-Type", "text/plain")])
    before = site.server.metric("gatehouse_waf_transactions_total")
    assert set(site.way_of(lambda: site.request("/page"))) <= {"proven", "near_miss"}
    assert site.server.metric("gatehouse_waf_transactions_total") == before


def test_in_shadow_the_library_decides_and_agrees(site):
    assert site.way_of(lambda: site.request("/shadow?page=1")) == {"full": 1}
    assert site.request("/shadow?q=1%27%20or%20%271%27=%271").status == 403
    assert site.server.metric("gatehouse_waf_requests_total", path="full", reason="shadow") > 0
    assert site.server.metric("gatehouse_waf_fast_path_disagreements_total") == 0
    assert site.server.metric("gatehouse_waf_fast_path_state", state="shadow") >= 1


def test_a_sample_is_evaluated_after_the_answer_and_agrees(site):
    before = site.server.metric("gatehouse_waf_evaluations_afterwards_total", result="done")
    assert set(site.way_of(lambda: site.request("/sampled?page=1"))) <= {"proven", "near_miss"}
    deadline = time.monotonic() + 10
    while site.server.metric("gatehouse_waf_evaluations_afterwards_total", result="done") == before:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert site.server.metric("gatehouse_waf_fast_path_disagreements_total") == 0


def test_overlays_change_what_an_attack_meets(site):
    attack = "?q=1%27%20or%20%271%27=%271"
    assert site.way_of(lambda: site.request("/not-inspected" + attack)) == {"off": 1}
    expected = {"/not-inspected": 200, "/detect": 200, "/without-rule": 200, "/without-tag": 200, "/without-target": 200,
                "/lenient": 200, "/strict": 403, "/fast": 403}
    assert {place: site.request(place + attack).status for place in expected} == expected
    site.request("/detect" + attack)
    assert "942100" in site.rule_ids("942100")


def test_a_stricter_place_refuses_what_others_prove_clean(site):
    """A rule of paranoia level 4; elsewhere the same request stays on the fast path."""
    target = "?x=a%7Cb%60c%60"
    assert site.request("/strict" + target, headers=[("X-Odd", "a$b")]).status == 403
    site.rule_ids("920273")


def test_overlays_that_only_remove_keep_clean_requests_on_the_fast_path(site):
    for place in ("/without-rule", "/without-tag", "/without-target", "/lenient", "/detect", "/short"):
        ways = site.way_of(lambda place=place: site.request(place + "?page=2"))
        assert set(ways) <= {"proven", "near_miss"}, (place, ways)


def test_a_body_over_a_places_own_limit_is_refused(site):
    assert site.request("/short", **form(comment="x" * 500)).status == 200
    assert site.request("/short", **form(comment="x" * 3000)).status == 403
    assert site.request("/", **form(comment="x" * 3000)).status == 200


def test_a_reload_with_unchanged_rules_compiles_nothing(site):
    before = [site.server.metric(name) for name in ("gatehouse_waf_rule_sets_compiled_total", "gatehouse_waf_fast_paths_compiled_total")]
    generation = site.server.metric("gatehouse_config_generation")
    site.server.signal(1)
    deadline = time.monotonic() + 20
    while site.server.metric("gatehouse_config_generation") == generation:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert before == [site.server.metric(name)
                      for name in ("gatehouse_waf_rule_sets_compiled_total", "gatehouse_waf_fast_paths_compiled_total")]
    assert set(site.way_of(lambda: site.request("/"))) <= {"proven", "near_miss"}


def test_rules_that_cannot_be_proven_say_so_once_and_are_evaluated(gatehouse, origin):
    server = gatehouse("""modsecurity on; modsecurity_rules 'SecRuleEngine On
        SecRequestBodyAccess On
        SecAction "id:1,phase:1,pass,log,msg:always"';
        server { listen 127.0.0.1:@http@; location / { proxy_pass http://127.0.0.1:@origin@; } }""", origin=origin.port)
    server.wait_for_log(r"\[notice\].*fast path is off for rule set \w+: ")
    assert server.request("/").status == 200
    assert server.metric("gatehouse_waf_fast_path_state", state="refused") == 1
    server.wait_for_log(r'\[id "1"\]')
