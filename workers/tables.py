"""The door of the worker processes: nobody works on tables he does not know.

Postgres away, or tables that are older because a migration is under way, is waited for. Newer tables are not: this code
would write what the newer code no longer understands. Its version matters at the start of a process only, and at that
of a child in place of one that died: a migration must leave the tables usable for the version that is still running.
"""

import sys
import time

import structlog
from sqlalchemy.exc import OperationalError

from app.config import Settings
from app.core import schema
from workers import stopping

log = structlog.get_logger()

WAIT_FOR_MIGRATION = 60.0
# sysexits.h: EX_CONFIG
UNKNOWN_TABLES = 78


def need_known(settings: Settings, wait: float = WAIT_FOR_MIGRATION) -> None:
    """Returns when the tables are those that this code knows, or when the process is told to end. Raises SystemExit."""
    until = time.monotonic() + wait
    said = ""
    while stopping.keep_on():
        try:
            installed = schema.installed_at(settings.database_url)
        except OperationalError:
            # However long: work can only be done once it is back.
            until = time.monotonic() + wait
            said = _say_once("Postgres cannot be reached", said)
            time.sleep(0.5)
            continue
        trouble = schema.trouble(installed)
        if not trouble:
            return
        if schema.is_newer(installed) or time.monotonic() > until:
            print(trouble, file=sys.stderr, flush=True)
            raise SystemExit(UNKNOWN_TABLES)
        said = _say_once(trouble, said)
        time.sleep(0.5)


def _say_once(reason: str, said: str) -> str:
    if reason != said:
        log.warning("tables.waiting", reason=reason)
    return reason
