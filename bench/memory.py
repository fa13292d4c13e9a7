"""What every process holds in memory: after the start, and after agents have worked (bench/polling.py).

RSS counts what is shared with others as well; PSS shares it out, so that its sum is what the machine has to give. Postgres and
its back ends are one row, and so is every program with its children.
"""

import time
from pathlib import Path
from typing import Any

from bench import polling
from bench.rig import Rig

MIB = 1024
# Seconds until every process has done its first turns.
SETTLE = 5


def children_of(pid: int) -> list[int]:
    """The process and all below it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += children_of(int(child))
    return found


def held(pid: int) -> tuple[float, float]:
    """RSS and PSS in MiB; nothing for a process that has gone meanwhile."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0, 0.0
    values = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:] if line.endswith("kB")}
    return values["Rss"] / MIB, values["Pss"] / MIB


def programs(rig: Rig) -> dict[str, int]:
    found = {name: child.pid for name, child in rig.children.items() if name != "simulator"}
    for name, server in (("postgres", rig.postgres), ("redis", rig.redis)):
        if server.process is not None:
            found[name] = server.process.pid
    return found


def look(rig: Rig) -> dict[str, dict[str, float]]:
    found = {}
    for name, pid in programs(rig).items():
        each = [held(one) for one in children_of(pid)]
        found[name] = {
            "processes": len(each),
            "largest": max(rss for rss, _ in each),
            "pss": sum(pss for _, pss in each),
        }
    return found


def run() -> dict[str, Any]:
    with Rig(durable=True) as rig:
        made = polling.start_all(rig)
        time.sleep(SETTLE)
        idle = look(rig)
        polling.work(rig, made, polling.SECONDS)
        after = look(rig)
    rows = {
        name: {
            "processes": one["processes"],
            "idle: largest RSS MiB": one["largest"],
            "idle: all PSS MiB": one["pss"],
            "after: largest RSS MiB": after[name]["largest"],
            "after: all PSS MiB": after[name]["pss"],
        }
        for name, one in idle.items()
    }
    columns = list(next(iter(rows.values())))
    rows["all"] = {
        column: sum(row[column] for row in rows.values()) for column in columns if "largest" not in column
    }
    total = rows["all"]
    ratio = round(total["after: all PSS MiB"] / total["idle: all PSS MiB"], 2)
    return {"rows": rows, "ratios": {"after / idle, all": ratio}, "seconds": polling.SECONDS}
