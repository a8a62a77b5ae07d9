"""The table that is printed and the facts that are stored with it."""

import datetime
import os
import platform
import re
import subprocess
from pathlib import Path

from scenarios import Scenario


def first_line(*command: str) -> str:
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return "not installed"
    return ((said.stdout + said.stderr).strip().splitlines() or [""])[0]


def machine(gatehouse: Path) -> dict[str, str | int | float]:
    cpu = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    congestion = Path("/proc/sys/net/ipv4/tcp_congestion_control")
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "cpu": cpu[1] if cpu else platform.machine(), "cores": os.cpu_count() or 0, "kernel": platform.release(),
        "congestion_control": congestion.read_text().strip() if congestion.exists() else "?",
        "load_average_at_start": os.getloadavg()[0],
        "gatehouse": first_line(str(gatehouse), "-v"),
        "commit": first_line("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"),
        "nginx": first_line("/usr/sbin/nginx", "-v"),
        "haproxy": first_line("/usr/sbin/haproxy", "-v"), "openssl": first_line("openssl", "version"),
    }


def figure(result: dict) -> float:
    """What the ratio is made of: CPU per request, p99 at half load, or bytes per idle connection."""
    return result["bytes"] if "bytes" in result else result["cpu_us"]["median"]


def ratio(scenario: Scenario, results: dict[str, dict], stored: dict[str, dict]) -> float | None:
    """To the better of the others, or to Gatehouse itself in the scenario's base, which `stored` has if it ran."""
    if scenario.base:
        base = stored.get(scenario.base, {}).get("proxies", {}).get("gatehouse")
        return figure(results["gatehouse"]) / figure(base) if base and "gatehouse" in results else None

    if scenario.kind == "attacked":
        own = results.get("gatehouse")
        return own["p99_us"]["median"] / own["alone_p99_us"]["median"] if own else None

    def of(name: str) -> float:
        return results[name]["p99_us"]["median"] if scenario.kind == "half_load" else figure(results[name])
    others = [of(name) for name in results if name != "gatehouse" and of(name) > 0]
    return of("gatehouse") / min(others) if others and "gatehouse" in results else None


HEADER = ["scenario", "proxy", "CPU us/request", "(low-high)", "user", "system", "requests/s", "p50 us", "p99", "p99.9",
          "calls/request", "memory", "errors", "ratio", "goal"]


def rows(scenario: Scenario, results: dict[str, dict], stored: dict[str, dict]) -> list[list[str]]:
    made = []
    for name, result in results.items():
        first = name == next(iter(results))
        row = [scenario.name if first else "", name]
        if "bytes" in result:
            row += [""] * 9 + [f"{result['bytes'] / 1024:.2f} KiB each"]
        else:
            if "cpu_us" in result:
                cpu = result["cpu_us"]
                row += [f"{cpu['median']:.2f}", f"{cpu['low']:.2f}-{cpu['high']:.2f}",
                        f"{result['user_us']['median']:.2f}", f"{result['system_us']['median']:.2f}"]
            else:
                row += [""] * 4
            row.append(f"{result['per_second']['median']:.0f}")
            row += [f"{result[q]['median']:.0f}" if q in result else "" for q in ("p50_us", "p99_us", "p999_us")]
            row.append(f"{sum(result['calls'].values()):.2f}" if result.get("calls") else "")
            row.append(f"{result['crowd_bytes'] / 2**20:.0f} MiB" if "crowd_bytes" in result else "")
        value = ratio(scenario, results, stored) if name == "gatehouse" else None
        row += [str(result["errors"] or ""), f"{value:.2f}" if value else "",
                f"<= {scenario.goal:.2f}" if scenario.goal and name == "gatehouse" else ""]
        made.append(row)
    return made


def table(all_rows: list[list[str]]) -> str:
    """Markdown that also reads well on a terminal."""
    widths = [max(len(row[i]) for row in [HEADER, *all_rows]) for i in range(len(HEADER))]

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths))) + " |"
    rule = "|" + "|".join("-" * (w + 2) if i < 2 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    return "\n".join([line(HEADER), rule, *map(line, all_rows)])
