#!/usr/bin/env python3
"""usage: injected_faults.py DIRECTORY

Builds the WAF's unit tests in a copy of the tree under DIRECTORY, once as they are and once with each of the faults below in the source,
and fails unless the sound ones pass and each fault makes a test fail. It answers who tests the tests: the traps of the WAF's
specification, each sprung on purpose. Takes some minutes; DIRECTORY keeps the build for the next time.
"""
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TREE = ("CMakeLists.txt", "CMakePresets.json", "proxy", "waf", "certs", "rules", "tests", "conf")


@dataclasses.dataclass(frozen=True)
class Fault:
    """What is done to the source: in `file`, `sound` (which stands there once) becomes `faulty`."""

    name: str
    file: str
    sound: str
    faulty: str


FAULTS = (
    Fault("\\s is RE2's, without the vertical tab", "waf/fastpath/pcre_classes.cpp",
          "return c == ' ' || between(c, '\\t', '\\r'); }", "return c == ' ' || (between(c, '\\t', '\\r') && c != 0x0b); }"),
    Fault("an automaton that is out of memory counts as clean", "waf/fastpath/pattern_set.cpp",
          "return failed ? ScanResult::unknown : ScanResult::clean;", "return failed ? ScanResult::clean : ScanResult::clean;"),
    Fault("multiMatch looks at the last text alone, in the scan", "waf/fastpath/fast_path.cpp",
          "      texts.intermediate(node, intermediate);\n      for", "      intermediate.assign(1, texts.at(node));\n      for"),
    Fault("multiMatch looks at the last text alone, in the evaluation", "waf/fastpath/rule_evaluation.cpp",
          "if (!link.link->multi_match) return ask", "if (true) return ask"),
    Fault("^ of a negated pattern is the text's begin, not a line's", "waf/fastpath/exact_pattern.cpp",
          "PCRE2_DOTALL | PCRE2_MULTILINE", "PCRE2_DOTALL"),
    Fault("only the first cookie is looked at", "waf/fastpath/request_values.cpp",
          "if (name.empty()) return;\n  cookies_", "if (name.empty() || !cookies_.empty()) return;\n  cookies_"),
)


def copy_tree(directory: pathlib.Path) -> None:
    """Brings the copy up to date; what did not change keeps its time, so that little is built."""
    for name in TREE:
        for source in [ROOT / name] if (ROOT / name).is_file() else sorted((ROOT / name).rglob("*")):
            target = directory / source.relative_to(ROOT)
            if source.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            elif not target.exists() or target.read_bytes() != source.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)


def failed_tests(directory: pathlib.Path) -> list[str]:
    """Builds and runs; the names of the tests that failed."""
    build = directory / "build-debug"
    if not (build / "build.ninja").exists():
        subprocess.run(["cmake", "--preset", "debug"], cwd=directory, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", build, "--target", "unit_waf"], check=True, stdout=subprocess.DEVNULL)
    environment = {**os.environ, "UBSAN_OPTIONS": "halt_on_error=0"}
    ran = subprocess.run([build / "unit_waf", "--gtest_brief=1"], cwd=build, capture_output=True, text=True, errors="replace",
                         check=False, env=environment)
    failed = sorted(set(re.findall(r"^\[  FAILED  \] (\w+(?:/\w+)*\.\w+(?:/\w+)*)", ran.stdout, re.MULTILINE)))
    assert bool(failed) == (ran.returncode != 0), ran.stdout[-2000:] + ran.stderr[-2000:]
    return failed


def main() -> int:
    directory = pathlib.Path(sys.argv[1]).resolve()
    copy_tree(directory)
    if failed := failed_tests(directory):
        print("the tests fail without a fault:", *failed)
        return 1
    missed = 0
    for fault in FAULTS:
        path = directory / fault.file
        sound = path.read_text(encoding="utf-8")
        assert sound.count(fault.sound) == 1, f"{fault.file} does not have {fault.sound!r} once: the fault must be adapted"
        path.write_text(sound.replace(fault.sound, fault.faulty), encoding="utf-8")
        try:
            failed = failed_tests(directory)
        finally:
            path.write_text(sound, encoding="utf-8")
        print(f"{fault.name}: {', '.join(failed) if failed else 'NOT CAUGHT'}", flush=True)
        missed += not failed
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
