"""From `./run serve` to the first page: cold with an empty data folder, warm with that of the run before.

The virtual environment is there both times. The time ends with the first answer of the page for signing in, whose workers and
schedule are then still starting; `ready` is when /health/ready says yes.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import requests

from bench.rig import ROOT, free_port

ROUNDS = 3


def start_once(folder: Path) -> tuple[float, float]:
    """Seconds to the first page and to readiness."""
    port = free_port()
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    env = {**kept, "PORT": str(port), "DATA_DIR": str(folder), "LOG_LEVEL": "WARNING"}
    with (folder / "serve.log").open("ab") as log:
        begin = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "run", "serve"],
            cwd=ROOT,
            env=env,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        page = wait_for(process, f"http://127.0.0.1:{port}/sign-in", begin)
        return page, wait_for(process, f"http://127.0.0.1:{port}/health/ready", begin)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def wait_for(process: "subprocess.Popen[bytes]", url: str, begin: float) -> float:
    while time.perf_counter() - begin < 120:
        if process.poll() is not None:
            raise RuntimeError(f"serve ended with {process.returncode}")
        try:
            if requests.get(url, timeout=2).ok:
                return time.perf_counter() - begin
        except requests.RequestException:
            pass
        time.sleep(0.02)
    raise RuntimeError(f"{url} did not answer")


def run() -> dict[str, Any]:
    found: dict[str, list[tuple[float, float]]] = {"cold": [], "warm": []}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="lh-start-") as folder:
            os.chmod(folder, 0o755)
            for name in found:
                found[name].append(start_once(Path(folder)))
    rows = {
        name: {
            "first page s": statistics.median(page for page, _ in times),
            "ready s": statistics.median(ready for _, ready in times),
        }
        for name, times in found.items()
    }
    ratio = round(rows["warm"]["first page s"] / rows["cold"]["first page s"], 2)
    return {"rows": rows, "ratios": {"warm / cold, first page": ratio}}
