"""The inbox list: which conversations a tab holds, in which order, and how many of them are unread.

Everything a row shows lies on the conversation and its contact, so a page of rows is one query whatever the data; the
order is (last_at, id) and the next page begins behind the last row. What people do with conversations is in triage.py.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Select,
    Uuid,
    and_,
    bindparam,
    func,
    literal,
    or_,
    select,
    tuple_,
    union,
)
from sqlalchemy.orm import Session

from app.core.clock import now
from app.core.folding import like_literal
from app.core.ids import parse_id
from app.domain.contact_index import pattern
from app.models.contact import Contact, ContactPoint
from app.models.conversation import Conversation

TABS = ("mine", "unassigned", "all", "unread", "starred", "snoozed", "closed")
COUNTED_TABS = ("mine", "unassigned", "all")
PAGE_SIZE = 40
# A search looks at this many newest hits among contacts and among messages.
MAX_HITS = 300
# Screens say 99+.
MOST_COUNTED = 100


@dataclass(frozen=True)
class Row:
    """A conversation and the name it goes by: the contact's, else the company's, else the phone's."""

    conversation: Conversation
    name: str
    phone: str

    @property
    def initials(self) -> str:
        letters = [part[0] for part in self.name.split() if part[0].isalpha()]
        return "".join(letters[:1] + letters[1:][-1:]).upper()


@dataclass(frozen=True)
class Page:
    rows: list[Row]
    # What to ask for to get the rows behind these; "" when these are the last.
    next_cursor: str


# Conditions are built once, polls ask too often for more; values() says who asks and when.
_ME, _NOW = bindparam("me", type_=Uuid()), bindparam("now", type_=DateTime(timezone=True))
_OPEN = Conversation.status == "open"
# A snooze ends by itself when its time has come.
_AWAKE = and_(_OPEN, or_(Conversation.snoozed_until.is_(None), Conversation.snoozed_until <= _NOW))
_IN_TAB: dict[str, ColumnElement[bool]] = {
    "mine": and_(_AWAKE, Conversation.assigned_to == _ME),
    "unassigned": and_(_AWAKE, Conversation.assigned_to.is_(None)),
    "all": _AWAKE,
    "unread": and_(_AWAKE, Conversation.unread_count > 0),
    "starred": and_(Conversation.starred),
    "snoozed": and_(_OPEN, Conversation.snoozed_until > _NOW),
    "closed": Conversation.status == "closed",
}


def values(user_id: uuid.UUID) -> dict[str, Any]:
    """What the conditions here are executed with."""
    return {"me": user_id, "now": now()}


def rows_of(
    session: Session,
    tab: str,
    user_id: uuid.UUID,
    *,
    search: str = "",
    after: str = "",
    limit: int = PAGE_SIZE,
) -> Page:
    """A page of a tab, newest first; a search looks through all tabs."""
    query = _NAMED.where(found_by(search) if search.strip() else _IN_TAB[tab])
    if place := _read_cursor(after):
        query = query.where(tuple_(Conversation.last_at, Conversation.id) < tuple_(*place))
    query = query.order_by(Conversation.last_at.desc(), Conversation.id.desc()).limit(limit + 1)
    rows = [_row(*found) for found in session.execute(query, values(user_id))]
    more = len(rows) > limit
    rows = rows[:limit]
    return Page(rows, cursor_of(rows[-1].conversation) if more else "")


def row_of(session: Session, conversation_id: uuid.UUID) -> Row | None:
    found = session.execute(_NAMED.where(Conversation.id == conversation_id)).first()
    return _row(*found) if found else None


def _with_names() -> Select[Conversation, str, str, str, str | None]:
    phone = (
        select(ContactPoint.value)
        .where(
            ContactPoint.account_id == Contact.account_id,
            ContactPoint.contact_id == Contact.id,
            ContactPoint.kind == "phone",
        )
        .order_by(ContactPoint.position)
        .limit(1)
        .correlate(Contact)
        .scalar_subquery()
    )
    return (
        select(Conversation, Contact.first_name, Contact.last_name, Contact.company, phone)
        .join(
            Contact,
            and_(Contact.id == Conversation.contact_id, Contact.account_id == Conversation.account_id),
        )
        .where(Contact.deleted_at.is_(None))
    )


_NAMED = _with_names()


def _row(conversation: Conversation, first: str, last: str, company: str, phone: str | None) -> Row:
    return Row(conversation, f"{first} {last}".strip() or company, phone or "")


def found_by(search: str) -> ColumnElement[bool]:
    """Conversations whose contact (names, numbers, addresses) or whose messages hold the words."""
    words = search.replace("\0", "").strip()
    people = func.search_contacts(pattern(words), MAX_HITS).table_valued("contact_id").render_derived()
    said = (
        func.search_messages(like_literal(words), MAX_HITS)
        .table_valued("conversation_id", "message_id")
        .render_derived()
    )
    # A union of ids, not an `or` of conditions, which would be asked of every conversation of the account.
    theirs = select(Conversation.id).where(Conversation.contact_id.in_(select(people.c.contact_id)))
    return Conversation.id.in_(union(theirs, select(said.c.conversation_id)))


def _count_unread(tab: str) -> ColumnElement[int]:
    unread = and_(_IN_TAB[tab], Conversation.unread_count > 0)
    some = select(literal(1)).select_from(Conversation).where(unread).limit(MOST_COUNTED).subquery()
    return select(func.count()).select_from(some).scalar_subquery().label(tab)


# Unread conversations in the tabs that show a number, as columns of one query executed with values(); `all` is also the
# number on the browser tab and in the sidebar. Nobody counts further than MOST_COUNTED, however many are unread.
UNREAD_COUNTS = [_count_unread(tab) for tab in COUNTED_TABS]


def cursor_of(conversation: Conversation) -> str:
    return f"{conversation.last_at.isoformat()}_{conversation.id}"


def _read_cursor(cursor: str) -> tuple[datetime, uuid.UUID] | None:
    """The place in the list; None for none and for one that was tampered with."""
    at, _, row_id = cursor.partition("_")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    found = parse_id(row_id)
    return (moment, found) if found and moment.tzinfo else None
