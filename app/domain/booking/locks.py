"""One booking at a time for each host, whatever calendar or account it is made in.

The exclusion constraint alone would let nothing overlap, but under a race it deadlocks; a lock on each host, taken in one
order before anything is written, makes a queue of it. The locks end with the transaction, or with the savepoint they were
taken in when that is rolled back. Whoever changes the time of an appointment takes them first; lock order of the house:
form, hosts, waiting list, identity of a contact, conversation.
"""

import hashlib
import uuid
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

_TAKE = text("select pg_advisory_xact_lock(key) from unnest(cast(:keys as bigint[])) as keys (key)")
_END = text("select end_expired_holds(:people, :at)")


def take_hosts(session: Session, people: Iterable[uuid.UUID], at: datetime) -> None:
    """Waits until nobody else books these people; holds that ran out are ended then."""
    ids = sorted(set(people))
    if not ids:
        return
    _take(session, sorted(_key("host", user_id) for user_id in ids))
    session.execute(_END, {"people": ids, "at": at})


def take_form(session: Session, account_id: uuid.UUID, client_key: str) -> None:
    """The same form sent twice at once is one booking."""
    _take(session, [_key("form", account_id, client_key)])


def take_waitlist(session: Session, calendar_id: uuid.UUID) -> None:
    _take(session, [_key("waitlist", calendar_id)])


def _take(session: Session, keys: list[int]) -> None:
    session.execute(_TAKE, {"keys": keys})


def _key(kind: str, *parts: object) -> int:
    name = "|".join(("booking", kind, *map(str, parts)))
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
