"""The list of contacts: search, tag, three sorts, and pages by key in both directions, without counting.

A cursor is the sort value and id of the row at the edge of the page, so a page costs the same at the end of a long list
as at its start, and rows that come or go elsewhere make neither holes nor repeats. A search looks at the 1,000 most
recently active matches.
"""

import base64
import binascii
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session, selectinload

from app.domain.contact_index import pattern
from app.models.contact import Contact

PAGE_SIZE = 50
MOST_MATCHES = 1000


@dataclass(frozen=True)
class Sort:
    title: str
    column: InstrumentedAttribute[Any]
    descending: bool
    read: Callable[[str], Any]

    def order(self, *, backwards: bool) -> list[ColumnElement[Any]]:
        if self.descending != backwards:
            return [self.column.desc(), Contact.id.desc()]
        return [self.column.asc(), Contact.id.asc()]

    def beyond(self, key: tuple[Any, uuid.UUID], *, backwards: bool) -> ColumnElement[bool]:
        row = tuple_(self.column, Contact.id)
        return row < key if self.descending != backwards else row > key

    def key_text(self, contact: Contact) -> str:
        value = getattr(contact, self.column.key)
        text = value.isoformat() if isinstance(value, datetime) else str(value)
        return base64.urlsafe_b64encode(f"{contact.id}{text}".encode()).decode().rstrip("=")

    def read_key(self, text: str) -> tuple[Any, uuid.UUID] | None:
        """None for nothing and for nonsense: the list then starts at its beginning."""
        try:
            plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
            return (self.read(plain[36:]), uuid.UUID(plain[:36])) if plain and "\0" not in plain else None
        except (ValueError, binascii.Error):
            return None


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a moment needs its zone")
    return at


SORTS = {
    "activity": Sort("Last activity", Contact.last_activity_at, True, _moment),
    "name": Sort("Name", Contact.sort_name, False, str),
    "newest": Sort("Newest", Contact.created_at, True, _moment),
}


@dataclass(frozen=True)
class Page:
    """`newer` and `older` are cursors for the pages before and after, "" at the ends."""

    contacts: Sequence[Contact]
    newer: str
    older: str


def page(
    session: Session,
    *,
    text: str = "",
    tag: str = "",
    sort: str = "activity",
    after: str = "",
    before: str = "",
    size: int = PAGE_SIZE,
) -> Page:
    """Contacts with their `points`. Unknown sorts and cursors give the first page."""
    chosen = SORTS.get(sort, SORTS["activity"])
    key_before = chosen.read_key(before)
    key_after = None if key_before else chosen.read_key(after)
    backwards = key_before is not None
    query = matching(text, tag).options(selectinload(Contact.points))
    key = key_before or key_after
    if key is not None:
        query = query.where(chosen.beyond(key, backwards=backwards))
    rows = list(session.scalars(query.order_by(*chosen.order(backwards=backwards)).limit(size + 1)))
    more, rows = len(rows) > size, rows[:size]
    if backwards:
        rows.reverse()
    has_newer = more if backwards else key_after is not None
    has_older = True if backwards else more
    return Page(
        rows,
        chosen.key_text(rows[0]) if rows and has_newer else "",
        chosen.key_text(rows[-1]) if rows and has_older else "",
    )


def matching(text: str = "", tag: str = "") -> Select[Contact]:
    """Contacts that are not deleted and fit."""
    query = select(Contact).where(Contact.deleted_at.is_(None))
    wanted = pattern(text[:200].replace("\0", ""))
    if wanted:
        found = func.search_contacts(wanted, MOST_MATCHES).table_valued("contact_id").render_derived()
        query = query.where(Contact.id.in_(select(found.c.contact_id)))
    if tag:
        query = query.where(Contact.tags.contains([tag.replace("\0", "")]))
    return query


def find(session: Session, text: str, limit: int = 8) -> list[Contact]:
    """The most recently active matches, for choosing one; with `points`."""
    query = matching(text).options(selectinload(Contact.points))
    return list(
        session.scalars(query.order_by(Contact.last_activity_at.desc(), Contact.id.desc()).limit(limit))
    )
