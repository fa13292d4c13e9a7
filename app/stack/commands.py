"""`./run levelhead`: an administration command with the settings and servers of a stack.

It talks to the stack that runs on DATA_DIR; when none runs there, it starts the servers for as long
as the command takes.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.stack.plan import DEFAULT_DATA_DIRS, ROOT, Plan, PlanFailed, make_plan
from app.stack.postgres import EmbeddedPostgres
from app.stack.redis import EmbeddedRedis
from app.stack.runtime import is_taken, running_settings, take_data_dir

CLI = [sys.executable, "-m", "app.cli"]


def run_levelhead(arguments: Sequence[str]) -> int:
    """Raises PlanFailed, AlreadyRunning, ServerFailed, config.ConfigError."""
    given = dict(os.environ)
    only_words = not arguments or any(word in ("--help", "-h", "--version") for word in arguments)
    if only_words or (given.get("DATABASE_URL") and given.get("REDIS_URL")):
        return subprocess.run([*CLI, *arguments], cwd=ROOT, env=given, check=False).returncode
    mode, data_dir = choose_data_dir(given)
    running = running_settings(data_dir)
    if running:
        env = {**running, **{name: value for name, value in given.items() if value}}
        return subprocess.run([*CLI, *arguments], cwd=ROOT, env=env, check=False).returncode
    return run_with_servers(make_plan(mode, {**given, "DATA_DIR": str(data_dir)}), arguments)


def choose_data_dir(given: Mapping[str, str]) -> tuple[str, Path]:
    """DATA_DIR, else the place where a stack runs, else the place where one ran before, else serve's."""
    if given.get("DATA_DIR"):
        data_dir = Path(given["DATA_DIR"]).absolute()
        return mode_of(data_dir), data_dir
    for fits in (is_taken, Path.exists):
        found = [(mode, place) for mode, place in DEFAULT_DATA_DIRS.items() if fits(place)]
        if len(found) == 1:
            return found[0]
        if found:
            places = " or ".join(f"DATA_DIR={os.path.relpath(place)}" for _, place in found)
            raise PlanFailed(f"There are two stacks here; say which one you mean with {places}.")
    return "serve", DEFAULT_DATA_DIRS["serve"]


def mode_of(data_dir: Path) -> str:
    """Serve keeps its secrets in the directory; the demo's are fixed."""
    if (data_dir / "secrets.json").exists() or not (data_dir / "postgres").exists():
        return "serve"
    return "demo"


def run_with_servers(plan: Plan, arguments: Sequence[str]) -> int:
    env = plan.environment
    with take_data_dir(plan.data_dir):
        logs = plan.logs
        postgres = EmbeddedPostgres(plan.data_dir / "postgres", log_file=logs / "postgres.log")
        redis = EmbeddedRedis(plan.data_dir / "redis", log_file=logs / "redis.log")
        try:
            if plan.own_postgres:
                postgres.start()
                env |= {"DATABASE_URL": postgres.app_url, "DATABASE_OWNER_URL": postgres.owner_url}
            if plan.own_redis:
                redis.start()
                env |= {"REDIS_URL": redis.url}
            migrated = subprocess.run(
                [*CLI, "migrate"], cwd=ROOT, env=env, check=False, stdout=subprocess.DEVNULL
            )
            if migrated.returncode != 0:
                return migrated.returncode
            return subprocess.run([*CLI, *arguments], cwd=ROOT, env=env, check=False).returncode
        finally:
            redis.stop()
            postgres.stop()
