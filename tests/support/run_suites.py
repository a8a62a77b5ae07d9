"""Runs every suite against binaries that are already built, and ends with one line in pytest's format.

Exit status 0 when everything passed, 1 when a test failed or a suite could not run. Reports (JUnit XML) and the full output of
each suite stay in build/test-results/. End-to-end files run JOBS at a time, each in a process of its own, the slowest first;
most of their time is waiting, so a few more than the cores are worth it.

A unit test or an end-to-end file that fails is run once more when nothing else runs: what a busy machine delays beyond a test's
patience is no fault of Gatehouse. Both runs are printed, and what needed the second is named at the end. A crash, a sanitizer's
report, an unclean error log or an ill-formed message is a finding however busy the machine was, and gets no second run.
"""

import concurrent.futures
import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = ROOT / "build" / "test-results"
JOBS = int(os.environ.get("JOBS", max(2, (os.cpu_count() or 2) * 3 // 2)))
SUITE_TIMEOUT = 1500  # seconds; no single suite may stop the whole run from telling how it ended
MAX_SECOND_RUNS = 5  # unit tests of a build, and end-to-end files; when more fail it is not the machine
# Said by the harness or the runtime about faults of the process under test, which no delay explains.
FINDING = re.compile(r"the server misbehaved|ill-formed messages reached an origin|\w+Sanitizer:|runtime error:|exited on signal|"
                     r"\*\*\*Exception|\(SEGFAULT\)|Subprocess aborted")
# Files that take longest, started first so that the run does not end on one of them.
SLOWEST = ("test_http1_rows.py", "test_reload.py", "test_limits.py", "test_waf.py", "test_supervisor.py", "test_proxying.py")


@dataclasses.dataclass
class Outcome:
    """How one suite ended: counts of tests, and its output when something went wrong."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    output: str = ""
    is_second: bool = False


def read_report(outcome: Outcome, report: pathlib.Path, status: int) -> Outcome:
    """Counts the tests of a JUnit report; a suite that left none, or failed without a failed test, counts as one failure."""
    if report.exists():
        for suite in xml.etree.ElementTree.parse(report).getroot().iter("testsuite"):
            total, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0)) + int(suite.get("disabled", 0))
            failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            outcome.passed += total - skipped - failed
            outcome.failed += failed
            outcome.skipped += skipped
    if status != 0 and outcome.failed == 0:
        outcome.failed = 1
    if status == 0 and outcome.passed == 0:
        outcome.failed, outcome.output = 1, outcome.output + "\nno test ran\n"
    return outcome


def run(name: str, command: list[str], report: pathlib.Path, environment: dict[str, str] | None = None) -> Outcome:
    started = time.monotonic()
    log = RESULTS / (report.stem + ".log")
    with log.open("w") as output:
        try:
            status = subprocess.run(command, cwd=ROOT, env={**os.environ, **(environment or {})}, stdout=output,
                                    stderr=subprocess.STDOUT, timeout=SUITE_TIMEOUT, check=False).returncode
        except subprocess.TimeoutExpired:
            status = 124
            output.write(f"\nstopped after {SUITE_TIMEOUT} s\n")
    outcome = Outcome(name, seconds=time.monotonic() - started, output=log.read_text(errors="replace"))
    return tell(read_report(outcome, report, status))


def tell(outcome: Outcome) -> Outcome:
    if outcome.failed:
        print(outcome.output, flush=True)
    print(f"{outcome.name:58} {counts(outcome):34} {outcome.seconds:7.1f} s", flush=True)
    return outcome


def counts(outcome: Outcome) -> str:
    parts = [(outcome.failed, "failed"), (outcome.passed, "passed"), (outcome.skipped, "skipped")]
    return ", ".join(f"{count} {what}" for count, what in parts if count) or "nothing ran"


def unit(preset: str, folder: str) -> Outcome:
    def ctest(report: pathlib.Path, jobs: int, *more: str) -> Outcome:
        return run(f"unit tests and fuzz corpora, {preset}",
                   ["ctest", "--test-dir", folder, "--output-on-failure", "-j", str(jobs), "--timeout", "300",
                    "--output-junit", str(report), *more], report)

    first = ctest(RESULTS / f"unit-{preset}.xml", os.cpu_count() or 2)
    if not may_run_again(first) or first.failed > MAX_SECOND_RUNS:
        return first
    second = ctest(RESULTS / f"unit-{preset}-again.xml", 1, "--rerun-failed")
    return dataclasses.replace(second, passed=first.passed + second.passed, seconds=first.seconds + second.seconds,
                               skipped=first.skipped, is_second=True)


def end_to_end(file: pathlib.Path, binary: pathlib.Path, label: str, selection: list[str]) -> Outcome:
    relative = file.relative_to(ROOT)
    report = RESULTS / f"{label}-{file.stem}.xml"
    return run(f"{relative}, {label}",
               ["/usr/bin/python3", "-m", "pytest", "-q", "--color=no", f"--junitxml={report}", *selection, str(relative)],
               report, {"GATEHOUSE_BINARY": str(binary)})


def may_run_again(outcome: Outcome) -> bool:
    """Whether the failure may be the machine's."""
    return outcome.failed > 0 and not FINDING.search(outcome.output)


def main() -> int:
    started = time.monotonic()
    RESULTS.mkdir(parents=True, exist_ok=True)
    for old in RESULTS.iterdir():
        old.unlink()

    outcomes = [unit("release", "build"), unit("asan", "build-asan")]

    files = sorted((ROOT / "tests").glob("e2e/**/test_*.py")) + sorted((ROOT / "tests").glob("attack/**/test_*.py"))
    files.sort(key=lambda file: SLOWEST.index(file.name) if file.name in SLOWEST else len(SLOWEST))
    smoke = [file for file in files if "pytest.mark.smoke" in file.read_text()]
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        suites = [(file, ROOT / "build-asan/gatehouse", "asan", []) for file in files]
        suites += [(file, ROOT / "build/gatehouse", "release", ["-m", "smoke"]) for file in smoke]
        ended = list(pool.map(lambda suite: end_to_end(*suite), suites))
    again = [number for number, outcome in enumerate(ended) if may_run_again(outcome)]
    for number in again if len(again) <= MAX_SECOND_RUNS else []:
        ended[number] = dataclasses.replace(end_to_end(*suites[number]), is_second=True)
    outcomes += ended

    total = Outcome("total", passed=sum(o.passed for o in outcomes), failed=sum(o.failed for o in outcomes),
                    skipped=sum(o.skipped for o in outcomes), seconds=time.monotonic() - started)
    for outcome in outcomes:
        if outcome.failed:
            print(f"FAILED {outcome.name}")
        elif outcome.is_second:
            print(f"PASSED ON A SECOND RUN, ALONE {outcome.name}")
    minutes, seconds = divmod(int(total.seconds), 60)
    print(f"==== {counts(total)} in {total.seconds:.2f}s ({minutes // 60}:{minutes % 60:02}:{seconds:02}) ====")
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
