"""One data directory, one stack: the lock that says so, and the note that tells other commands how to reach
it.

The lock is the kernel's (flock): it goes with the process that holds it, so a SIGKILL leaves no lock behind.
The note (runtime.json, 0600, gone when the stack stops) holds the settings with which the stack runs.
"""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from app import config
from app.stack.plan import Plan
from app.stack.secrets import write_private

SETTINGS = (
    "LEVELHEAD_ENV",
    "SECRET_KEY",
    "ENCRYPTION_KEYS",
    "PUBLIC_URL",
    "PORT",
    "DATA_DIR",
    "MEDIA_DIR",
    "DATABASE_URL",
    "DATABASE_OWNER_URL",
    "REDIS_URL",
    "SMTP_URL",
    "MAIL_FROM",
    "TRUSTED_PROXIES",
    "SIMULATOR_URL",
    "LOG_LEVEL",
    "META_GRAPH_VERSION",
    "META_MEDIA_HOSTS",
    "STRIPE_API_VERSION",
    *config.HOSTS,
)


class AlreadyRunning(Exception):
    """Another stack works on this data directory; the text names its address."""


def take_data_dir(data_dir: Path) -> IO[str]:
    """The held lock: keep it open as long as the stack runs. Raises AlreadyRunning."""
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = (data_dir / "lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        address = read_note(data_dir).get("address", "still starting or stopping")
        raise AlreadyRunning(f"Levelhead is already running on {data_dir}: {address}") from None
    return file


def is_taken(data_dir: Path) -> bool:
    try:
        with (data_dir / "lock").open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def write_note(plan: Plan, environment: Mapping[str, str]) -> None:
    """Production's settings stay where its operator keeps them: only the address is noted."""
    names = () if plan.is_production else SETTINGS
    settings = {name: environment[name] for name in names if environment.get(name)}
    note = {"address": plan.address, "pid": os.getpid(), "mode": plan.mode, "settings": settings}
    write_private(plan.data_dir / "runtime.json", json.dumps(note, indent=2) + "\n")


def remove_note(data_dir: Path) -> None:
    (data_dir / "runtime.json").unlink(missing_ok=True)


def read_note(data_dir: Path) -> dict[str, str]:
    return {name: value for name, value in _note(data_dir).items() if isinstance(value, str)}


def running_settings(data_dir: Path) -> dict[str, str]:
    """The settings of the stack that runs on the directory; empty when none does."""
    settings = _note(data_dir).get("settings") if is_taken(data_dir) else None
    return {str(name): str(value) for name, value in settings.items()} if isinstance(settings, dict) else {}


def _note(data_dir: Path) -> dict[str, object]:
    try:
        note = json.loads((data_dir / "runtime.json").read_text())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}
