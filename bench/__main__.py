"""`./run bench [name ...]`: measures, prints ratios, and keeps them as JSON and as a table in docs/benchmarks.md.

Only ratios inside one run are promises; the machine's facts are kept beside them.
"""

import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import contention, inbound, memory, polling, screens, sends, slots, start

ROOT = Path(__file__).parent.parent
BENCHES = {
    "inbound": inbound.run,
    "sends": sends.run,
    "screens": screens.run,
    "polling": polling.run,
    "memory": memory.run,
    "start": start.run,
    "slots": slots.run,
    "contention": contention.run,
}
INTRO = """# Benchmarks

Measured by `./run bench`; the newest run of each. Ratios inside one run are what counts, since machines differ.
"""


def machine() -> dict[str, Any]:
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**30
    return {"cpu": model, "cores": os.cpu_count(), "memory_gib": memory, "python": platform.python_version()}


def table(name: str, result: dict[str, Any]) -> str:
    lines = [f"## {name}", ""]
    rows: dict[str, dict[str, Any]] = result["rows"]
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines += [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for label, row in rows.items():
        cells = (f"{row[c]:,.1f}" if isinstance(row.get(c), float) else str(row.get(c, "")) for c in columns)
        lines.append(f"| {label} | {' | '.join(cells)} |")
    lines.append("")
    for label, value in result["ratios"].items():
        target = result.get("target", {}).get(label)
        lines.append(f"- {label}: **{value}**" + (f" (target {target})" if target is not None else ""))
    lines += [f"- {label}: {value:,.1f}" for label, value in result.get("facts", {}).items()]
    return "\n".join([*lines, ""])


def main() -> int:
    wanted = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in wanted if name not in BENCHES]
    if unknown:
        print(f"There is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHES)}.")
        return 2
    kept = ROOT / "docs" / "benchmarks.json"
    results: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    for name in wanted:
        print(f"measuring {name} ...", flush=True)
        result = BENCHES[name]()
        results[name] = {
            "at": datetime.now(UTC).isoformat(timespec="minutes"),
            "machine": machine(),
            **result,
        }
        print(table(name, result))
    kept.write_text(json.dumps(results, indent=1) + "\n")
    page = [INTRO] + [
        table(name, results[name]) + _facts(results[name]) for name in BENCHES if name in results
    ]
    (ROOT / "docs" / "benchmarks.md").write_text("\n".join(page))
    return 0


def _facts(result: dict[str, Any]) -> str:
    facts = result["machine"]
    return f"\n{result['at']}, {facts['cores']} × {facts['cpu']}, {facts['memory_gib']} GiB, Python {facts['python']}.\n"


if __name__ == "__main__":
    sys.exit(main())
