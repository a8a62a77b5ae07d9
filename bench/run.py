#!/usr/bin/python3
"""Compares Gatehouse with nginx and HAProxy on this machine: equal configurations, one event thread or worker each, proxy
and load pinned to different cores, rounds interleaved. bench/README.md says what is measured and how to read it.

Needs a built Gatehouse, nginx (with its ModSecurity module for the WAF's scenarios), haproxy, wrk, openssl; strace for
system calls. Installs nothing. Everything listens on loopback and ends with this program."""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).with_name("comparison")))
import plot  # noqa: E402
import report  # noqa: E402
from configurations import SIZES  # noqa: E402
from measure import HAPROXY, NGINX, Settings, measure  # noqa: E402
from scenarios import HOST, SCENARIOS  # noqa: E402

TOP = Path(__file__).resolve().parents[1]


def arguments() -> argparse.Namespace:
    cores = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="the scenarios, then exit")
    parser.add_argument("--scenario", action="append", metavar="NAME", help="only this one; may be repeated")
    parser.add_argument("--proxy", action="append", choices=["gatehouse", "nginx", "haproxy"], help="only this one")
    parser.add_argument("--rounds", type=int, default=5, choices=range(1, 21), metavar="1-20", help="default 5")
    parser.add_argument("--seconds", type=int, default=2, choices=range(1, 11), metavar="1-10",
                        help="of each proxy in a round, default 2")
    parser.add_argument("--no-strace", action="store_true", help="do not count system calls")
    parser.add_argument("--gatehouse", type=Path, default=TOP / "build" / "gatehouse", help="the binary to measure")
    parser.add_argument("--proxy-core", type=int, default=cores[-1])
    parser.add_argument("--load-core", type=int, default=cores[0], help="of the origin and the clients")
    parser.add_argument("--output", type=Path, help="JSON file, default bench/results/DATE.json")
    return parser.parse_args()


def prepare(folder: Path) -> None:
    """The origin's files and the certificates."""
    folder.chmod(0o755)  # nginx's worker is another user
    (folder / "files").mkdir()
    for name, size in SIZES.items():
        (folder / "files" / name).write_bytes((b"0123456789abcdef" * (size // 16 + 1))[:size])
    paragraph = "<p>The quick brown fox jumps over the lazy dog; it is a fine day in the park.</p>\n"
    (folder / "files" / "html").write_text(f"<!doctype html><html><head><title>News</title></head><body>\n{paragraph * 125}</body></html>\n")
    for kind, key in {"ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], "rsa": ["rsa:2048"]}.items():
        subprocess.run(["openssl", "req", "-x509", "-newkey", *key, "-nodes", "-days", "2", "-subj", f"/CN={HOST}", "-keyout",
                        folder / f"{kind}.key", "-out", folder / f"{kind}.crt"], check=True, capture_output=True)
        pem = (folder / f"{kind}.crt").read_text() + (folder / f"{kind}.key").read_text()
        (folder / f"{kind}.pem").write_text(pem)


def main() -> int:
    options = arguments()
    if options.list:
        print("\n".join(f"{s.name:22} {s.what}" for s in SCENARIOS))
        return 0
    unknown = set(options.scenario or []) - {s.name for s in SCENARIOS}
    if unknown:
        sys.exit(f"no such scenario: {', '.join(sorted(unknown))}; --list names them")
    programs = {"gatehouse": options.gatehouse, "nginx": Path(NGINX), "haproxy": Path(HAPROXY)}
    missing = [name for name, path in programs.items() if not path.exists()]
    if {"gatehouse", "nginx"} & set(missing):
        sys.exit(f"missing: {', '.join(missing)}; `make bench` installs and builds them")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    facts = report.machine(options.gatehouse)
    print("\n".join(f"{key}: {value}" for key, value in facts.items()), flush=True)

    output = options.output or TOP / "bench" / "results" / f"{facts['date'].replace(':', '')[:17]}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends what was started, as Ctrl-C does
    stored, rows, failures = {}, [], 0
    try:
        with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as name:
            settings = Settings(options.gatehouse.resolve(), Path(name), options.rounds, options.seconds,
                                options.proxy_core, options.load_core, not options.no_strace)
            prepare(settings.folder)
            for scenario in SCENARIOS:
                if options.scenario and scenario.name not in options.scenario:
                    continue
                names = [p for p in scenario.proxies if p not in missing and (not options.proxy or p in options.proxy)]
                print(f"... {scenario.name}", file=sys.stderr, flush=True)
                try:
                    results = measure(scenario, names, settings)
                except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                    failures += 1
                    print(f"{scenario.name} failed: {error}", file=sys.stderr)
                    continue
                failures += any(r["errors"] for r in results.values())
                rows += report.rows(scenario, results, stored)
                stored[scenario.name] = {"what": scenario.what, "goal": scenario.goal, "proxies": results,
                                         "ratio": report.ratio(scenario, results, stored)}
                output.write_text(json.dumps({"machine": facts, "rounds": options.rounds, "seconds": options.seconds,
                                              "scenarios": stored}, indent=1) + "\n")
                title = f"Gatehouse to the better of nginx and HAProxy, {facts['date'][:10]}, {facts['cpu']}"
                output.with_suffix(".svg").write_text(plot.svg(stored, title))
    finally:  # an interrupted run still shows what it has
        if rows:
            print(f"\n{report.table(rows)}\n\nstored in {output}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
