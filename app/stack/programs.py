"""The programs of the stack and how each is started.

WEB_SERVER=granian|gunicorn, WEB_WORKERS and WEB_THREADS choose the web server and its size. One process is
ready sooner, so the demo has one; measured throughput is in favour of granian with two (docs/decisions).
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from app.stack.plan import Plan, PlanFailed


@dataclass(frozen=True)
class Program:
    command: list[str]
    # Seconds between being asked to stop and SIGKILL.
    grace: float = 10.0


def programs(plan: Plan) -> dict[str, Program]:
    """By name: those that run on, and those that do one thing at the start. Raises PlanFailed."""
    found = {
        "web": Program(web_command(plan, plan.source)),
        "workers": Program(["-m", "workers.boot"]),
        "scheduler": Program(["-m", "workers.schedule"], grace=5.0),
        "simulator": Program(simulator_command(plan), grace=3.0),
        "migrate": Program(["-m", "app.cli", "migrate"]),
        "seed": Program(["-m", "app.cli", "seed", "--demo", "--if-empty"]),
        "people": Program(["-m", "app.cli", "demo-people"]),
    }
    return {name: Program([sys.executable, *part.command], part.grace) for name, part in found.items()}


def simulator_command(plan: Plan) -> list[str]:
    command = ["-m", "app.sandbox", "--port", str(plan.simulator_port), "--smtp-port", str(plan.smtp_port)]
    return [*command, "--state", str(plan.data_dir / "simulator.json")]


def web_command(plan: Plan, source: Mapping[str, str]) -> list[str]:
    workers = source.get("WEB_WORKERS") or ("1" if plan.mode == "demo" else "2")
    threads = source.get("WEB_THREADS") or "16"
    if not (workers.isdigit() and threads.isdigit() and int(workers) and int(threads)):
        raise PlanFailed("WEB_WORKERS and WEB_THREADS must be whole numbers, 1 or more.")
    server = source.get("WEB_SERVER") or "granian"
    if server == "granian":
        command = [
            "-m",
            "granian",
            "--interface",
            "wsgi",
            "--no-ws",
            "--host",
            plan.host,
            "--port",
            str(plan.port),
        ]
        command += ["--workers", workers, "--blocking-threads", threads, "--respawn-failed-workers"]
        return [*command, "--workers-kill-timeout", "8", "wsgi:app"]
    if server == "gunicorn":
        host = f"[{plan.host}]" if ":" in plan.host else plan.host
        command = ["-m", "gunicorn", "--worker-class", "gthread", "--bind", f"{host}:{plan.port}"]
        command += ["--workers", workers, "--threads", threads, "--graceful-timeout", "8"]
        return [*command, "--no-control-socket", "wsgi:app"]
    raise PlanFailed(f"WEB_SERVER must be granian or gunicorn, not {server!r}.")
