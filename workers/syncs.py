"""People's calendars at the providers: lists, reads what changed, writes bookings, keeps push channels open.

The first two drains work on several calendars at a time, since nearly all of the time goes into waiting for a provider; each
calendar and each booking is claimed by its row, so drains that run twice do no harm.
"""

import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog

from app.core import bells, jobs, runtime, tenancy
from app.core.clock import now
from app.core.errors import ProviderError
from app.core.ids import parse_id
from app.domain import calendar_sync, event_writes, push_channels
from app.integrations import calendar_pushes, calendars
from workers import stopping

log = structlog.get_logger()

AT_ONCE = 8
BATCH = 64
# What is due again and again (a push in each second) must not keep other jobs of the queue waiting.
MOST_ROUNDS = 5

Item = TypeVar("Item")


def list_calendars(connection_id: str) -> None:
    """After a consent, and when a person asks for it."""
    bells.take_down(runtime.current().redis, jobs.LIST_CALENDARS.function, (connection_id,))
    found = parse_id(connection_id)
    if found is None:
        return
    try:
        calendars.list_calendars(found)
    except ProviderError as error:
        log.warning("calendars.not_listed", connection=connection_id, code=error.code)


def read() -> None:
    """Every calendar that is due; one that was read for the first time gets its push channel at once."""
    bells.take_down(runtime.current().redis, jobs.SYNC_CALENDARS.function, ())
    for _ in range(MOST_ROUNDS):
        with tenancy.session_for() as session:
            due = calendar_sync.due(session, now(), BATCH)
        if not due or not stopping.keep_on():
            break
        _each(_read_one, due)


def _read_one(linked_id: uuid.UUID) -> None:
    if calendars.look(linked_id) is not None and push_channels.is_missing(linked_id):
        calendar_pushes.open_one(linked_id)


def write() -> None:
    """Every booking whose event is to be made, changed or removed."""
    bells.take_down(runtime.current().redis, jobs.WRITE_EVENTS.function, ())
    for _ in range(MOST_ROUNDS):
        due = event_writes.due(now(), BATCH)
        if not due or not stopping.keep_on():
            return
        _each(lambda pair: calendars.write_event(*pair), due)


def renew_channels() -> None:
    """Rung for every ten minutes."""
    bells.take_down(runtime.current().redis, jobs.RENEW_CHANNELS.function, ())
    opened, closed = calendar_pushes.renew_due(), calendar_pushes.close_unused()
    if opened or closed:
        log.info("channels", opened=opened, closed=closed)


def _each(deed: Callable[[Item], object], items: Sequence[Item]) -> None:
    def guarded(item: Item) -> None:
        try:
            deed(item)
        except Exception:
            log.exception("sync.broke", item=str(item))

    if len(items) == 1:
        guarded(items[0])
        return
    with ThreadPoolExecutor(min(AT_ONCE, len(items))) as pool:
        list(pool.map(guarded, items))
