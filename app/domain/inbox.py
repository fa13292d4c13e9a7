"""The inbox list: which conversations a tab holds, in which order, and how many of them are unread.

Everything a row shows lies on the conversation and its contact, so a page of rows is one query whatever the data; the
order is (last_at, id) and the next page begins behind the last row. What people do with conversations is in triage.py.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, func, literal, or_, select, tuple_, union
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


def _open_and_awake() -> ColumnElement[bool]:
    """Open, and not snoozed; a snooze ends by itself when its time has come."""
    sleepless = or_(Conversation.snoozed_until.is_(None), Conversation.snoozed_until <= now())
    return and_(Conversation.status == "open", sleepless)


def in_tab(tab: str, user_id: uuid.UUID) -> ColumnElement[bool]:
    """The condition of a tab. KeyError for an unknown one."""
    return {
        "mine": and_(_open_and_awake(), Conversation.assigned_to == user_id),
        "unassigned": and_(_open_and_awake(), Conversation.assigned_to.is_(None)),
        "all": _open_and_awake(),
        "unread": and_(_open_and_awake(), Conversation.unread_count > 0),
        "starred": and_(Conversation.starred),
        "snoozed": and_(Conversation.status == "open", Conversation.snoozed_until > now()),
        "closed": Conversation.status == "closed",
    }[tab]


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
    query = _with_names()
    query = query.where(found_by(search)) if search.strip() else query.where(in_tab(tab, user_id))
    if place := _read_cursor(after):
        query = query.where(tuple_(Conversation.last_at, Conversation.id) < tuple_(*place))
    query = query.order_by(Conversation.last_at.desc(), Conversation.id.desc()).limit(limit + 1)
    rows = [_row(*found) for found in session.execute(query)]
    more = len(rows) > limit
    rows = rows[:limit]
    return Page(rows, cursor_of(rows[-1].conversation) if more else "")


def row_of(session: Session, conversation_id: uuid.UUID) -> Row | None:
    found = session.execute(_with_names().where(Conversation.id == conversation_id)).first()
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


def unread_counts(user_id: uuid.UUID) -> dict[str, ScalarSelect[int]]:
    """Unread conversations in the tabs that show a number, as columns of one query; `all` is also the number on the
    browser tab and in the sidebar. Nobody counts further than MOST_COUNTED, however many are unread.
    """
    return {tab: _count(and_(in_tab(tab, user_id), Conversation.unread_count > 0)) for tab in COUNTED_TABS}


def _count(condition: ColumnElement[bool]) -> ScalarSelect[int]:
    some = select(literal(1)).select_from(Conversation).where(condition).limit(MOST_COUNTED).subquery()
    return select(func.count()).select_from(some).scalar_subquery()


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
