"""One scenario: starts the origin and the proxies, interleaves the rounds, and makes one result of them."""

import os
import re
import shutil
import signal
import statistics
import subprocess
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import configurations
import load
from processes import Program, free_ports
from scenarios import ATTACKS, Request, Scenario

NGINX, HAPROXY = "/usr/sbin/nginx", "/usr/sbin/haproxy"


@dataclass
class Settings:
    gatehouse: Path
    folder: Path  # for configurations, certificates, logs; removed by the caller
    rounds: int
    seconds: float  # of each round
    proxy_core: int
    load_core: int
    count_calls: bool


def start_proxy(name: str, scenario: Scenario, settings: Settings, port: int, origin_port: int) -> Program:
    file = settings.folder / f"{scenario.name}.{name}.conf"
    if name == "haproxy":
        text = configurations.haproxy(scenario, settings.folder, port, origin_port)
        command = [HAPROXY, "-db", "-f", str(file)]
    else:
        text = configurations.nginx_language(scenario, name, settings.folder, port, origin_port, supervised=True)
        command = [str(settings.gatehouse) if name == "gatehouse" else NGINX, "-c", str(file)]
    file.write_text(text)
    return Program(command, settings.proxy_core, settings.folder / f"{name}.out")


def origin_counts(port: int) -> tuple[int, int]:
    """Connections the origin accepted and requests it served since it began; asking is one of each."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/origin_status", timeout=10) as answer:
        accepts, _, requests = map(int, answer.read().decode().splitlines()[2].split())
    return accepts, requests


def start_origin(settings: Settings, port: int, scenario: Scenario) -> Program:
    file = settings.folder / "origin.conf"
    file.write_text(configurations.origin(settings.folder, port, scenario))
    return Program([NGINX, "-c", str(file)], settings.load_core, settings.folder / "origin.out")


def drive(scenario: Scenario, port: int, seconds: float, settings: Settings, delay_ms: float = 0) -> load.Load:
    if scenario.kind == "handshake":
        return load.run_handshakes(scenario, port, seconds, settings.load_core)
    return load.run_wrk(scenario, port, seconds, settings.load_core, settings.folder, delay_ms)


def one_round(scenario: Scenario, program: Program, port: int, settings: Settings, delay_ms: float,
              origin_port: int) -> dict:
    accepted, asked = origin_counts(origin_port)
    before = program.cpu_time()
    seen = drive(scenario, port, settings.seconds, settings, delay_ms)
    spent = program.cpu_time() - before
    opened, passed = (after - earlier - 1 for after, earlier in zip(origin_counts(origin_port), (accepted, asked)))
    if seen.requests == 0:
        raise RuntimeError(f"{scenario.name}: no request was answered")
    return {"user_us": spent.user_us / seen.requests, "system_us": spent.system_us / seen.requests,
            "cpu_us": (spent.user_us + spent.system_us) / seen.requests, "per_second": seen.requests / seen.seconds,
            "reuse": 1 - opened / passed if passed else 0.0, "requests": seen.requests, "errors": seen.errors, **seen.latency}


def system_calls(scenario: Scenario, program: Program, port: int, settings: Settings) -> dict[str, float] | None:
    """Calls per request by name, counted in a run of its own, since strace slows what it watches. None without strace
    or without the right to trace."""
    if not shutil.which("strace"):
        return None
    output = settings.folder / "strace.txt"
    output.unlink(missing_ok=True)
    targets = [word for pid in program.pids() for word in ("-p", str(pid))]
    tracer = subprocess.Popen(["strace", "-c", "-f", "-U", "calls,name", "-o", output, *targets], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, preexec_fn=lambda: os.sched_setaffinity(0, {settings.load_core}))
    try:
        time.sleep(0.5)
        seen = drive(scenario, port, 3 if "10m" in scenario.name else 1, settings)
        time.sleep(0.1)
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)
    rows = re.findall(r"^\s*(\d+)\s+(\w+)$", output.read_text() if output.exists() else "", re.M)
    if seen.requests == 0:  # too slow under strace for a whole request
        return None
    calls = {name: int(count) / seen.requests for count, name in rows if name != "total"}
    return {name: round(count, 3) for name, count in calls.items() if count >= 0.005} or None


def summary(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def measure_http(scenario: Scenario, programs: dict[str, tuple[Program, int]], settings: Settings,
                 origin_port: int) -> dict[str, dict]:
    rounds: dict[str, list[dict]] = {name: [] for name in programs}
    rates = [drive(scenario, port, 1, settings) for _, port in programs.values()]  # warms up
    delay_ms = 0.0
    if scenario.kind == "half_load":
        delay_ms = 2e3 * scenario.connections / min(r.requests / r.seconds for r in rates)
    for _ in range(settings.rounds):  # A B C A B C: what else the machine does meets all of them alike
        for name, (program, port) in programs.items():
            rounds[name].append(one_round(scenario, program, port, settings, delay_ms, origin_port))
    results = {}
    for name, (program, port) in programs.items():
        figures = [key for key in rounds[name][0] if key not in ("requests", "errors")]
        results[name] = {key: summary([r[key] for r in rounds[name]]) for key in figures}
        results[name]["requests"] = sum(r["requests"] for r in rounds[name])
        results[name]["errors"] = sum(r["errors"] for r in rounds[name])
        if settings.count_calls:
            results[name]["calls"] = system_calls(scenario, program, port, settings)
    return results


def measure_idle(scenario: Scenario, programs: dict[str, tuple[Program, int]]) -> dict[str, dict]:
    """User-space memory of a connection: growth over all of them, after a hundred that warm the process up."""
    results = {}
    for name, (program, port) in programs.items():
        with load.HeldConnections(scenario, port) as held:
            held.open(100)
            before = program.memory_bytes()
            held.open(scenario.connections)
            time.sleep(0.5)
            results[name] = {"bytes": (program.memory_bytes() - before) / scenario.connections, "errors": 0}
    return results


def wait_until_quiet(program: Program, seconds: float) -> None:
    """Until the crowd's first bytes are where they can go, and the program uses less than a third of its core."""
    end = time.monotonic() + seconds
    busy = True
    while busy and time.monotonic() < end:
        before = program.cpu_time()
        time.sleep(1)
        spent = program.cpu_time() - before
        busy = spent.user_us + spent.system_us > 300_000


def measure_crowd(scenario: Scenario, programs: dict[str, tuple[Program, int]], settings: Settings,
                  origin_port: int) -> dict[str, dict]:
    """The fast clients' figures while a crowd of 10,000 others is there, and the memory that the crowd costs."""
    results = {}
    for name, (program, port) in programs.items():
        drive(scenario, port, 1, settings)  # warms up
        before = program.memory_bytes()
        with load.HeldConnections(scenario, port) as held:
            held.open(4000)
            held.ask("/10m", 3000)
            held.ask("/dribble", 3000)
            wait_until_quiet(program, 30)
            rounds = [one_round(scenario, program, port, settings, 0, origin_port) for _ in range(settings.rounds)]
            results[name] = {key: summary([r[key] for r in rounds]) for key in rounds[0] if key not in ("requests", "errors")}
            results[name] |= {"requests": sum(r["requests"] for r in rounds), "errors": sum(r["errors"] for r in rounds),
                              "crowd_bytes": program.memory_bytes() - before}
    return results


def measure_attacked(scenario: Scenario, programs: dict[str, tuple[Program, int]], settings: Settings) -> dict[str, dict]:
    """At half the rate that a proxy serves one attack in ten with: the clean clients' latency without attacks and with them. The
    attackers have connections of their own, so that nobody waits behind an attack on his own connection."""
    clean = tuple(Request(path, headers=scenario.headers) for path in scenario.paths)
    attacks = tuple(Request(path, headers=scenario.headers) for path in ATTACKS)
    mixed = replace(scenario, requests=tuple(part for attack in attacks for part in (*(clean * 9)[:9], attack)))
    attackers = replace(scenario, requests=attacks, status=403, connections=8)
    results = {}
    for name, (program, port) in programs.items():
        drive(mixed, port, 1, settings)  # warms up
        full = load.run_wrk(mixed, port, 2, settings.load_core, settings.folder)
        rate = full.requests / full.seconds / 2

        def delay(connections: int, share: float) -> float:
            return 1e3 * connections / (rate * share)
        alone, attacked = [], []
        for _ in range(settings.rounds):
            alone.append(drive(scenario, port, settings.seconds, settings, delay(scenario.connections, 0.9)))
            with ThreadPoolExecutor(1) as pool:
                attacking = pool.submit(load.run_wrk, attackers, port, settings.seconds, settings.load_core, settings.folder / "attackers",
                                        delay(attackers.connections, 0.1))
                attacked.append(drive(scenario, port, settings.seconds, settings, delay(scenario.connections, 0.9)))
                attacking.result()
        results[name] = {key: summary([seen.latency[key] for seen in attacked]) for key in load.QUANTILES}
        results[name] |= {f"alone_{key}": summary([seen.latency[key] for seen in alone]) for key in load.QUANTILES}
        results[name] |= {"per_second": summary([seen.requests / seen.seconds for seen in attacked]), "errors": sum(seen.errors for seen in attacked)}
    return results


def measure(scenario: Scenario, names: list[str], settings: Settings) -> dict[str, dict]:
    """Figures by proxy. Errors: RuntimeError when a program doesn't start or answers wrongly."""
    with ExitStack() as stack:
        origin_port, *ports = free_ports(1 + len(names))
        stack.enter_context(start_origin(settings, origin_port, scenario)).wait_until_it_answers(origin_port, 10)
        programs = {}
        for name, port in zip(names, ports):
            program = stack.enter_context(start_proxy(name, scenario, settings, port, origin_port))
            program.wait_until_it_answers(port, 30)
            programs[name] = (program, port)
        if scenario.kind == "idle":
            return measure_idle(scenario, programs)
        if scenario.kind == "crowd":
            return measure_crowd(scenario, programs, settings, origin_port)
        if scenario.kind == "attacked":
            (settings.folder / "attackers").mkdir(exist_ok=True)
            return measure_attacked(scenario, programs, settings)
        return measure_http(scenario, programs, settings, origin_port)
