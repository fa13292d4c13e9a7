"""The list of contacts: search, tag, three sorts, and pages by key in both directions, without counting.

A cursor is the sort value and id of the row at the edge of the page, so a page costs the same at the end of a long list
as at its start, and rows that come or go elsewhere make neither holes nor repeats. With words or a tag the page is found by
the SQL function search_contacts of the migrations, because row-level security keeps both away from their indexes.
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
    sort = sort if sort in SORTS else "activity"
    chosen = SORTS[sort]
    key_before = chosen.read_key(before)
    key_after = None if key_before else chosen.read_key(after)
    backwards = key_before is not None
    place = Place(sort, key_before or key_after, backwards)
    rows = list(session.scalars(_rows(text, tag, place, size + 1).options(selectinload(Contact.points))))
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


@dataclass(frozen=True)
class Place:
    """Behind which row of which order; None for its begin."""

    sort: str = "activity"
    key: tuple[Any, uuid.UUID] | None = None
    backwards: bool = False


def _rows(text: str, tag: str, place: Place, limit: int) -> Select[Contact]:
    """Contacts that are not deleted and fit, in order."""
    sort = SORTS[place.sort]
    order = sort.order(backwards=place.backwards)
    query = select(Contact).where(Contact.deleted_at.is_(None)).order_by(*order)
    wanted, tag = pattern(text[:200].replace("\0", "")), tag.replace("\0", "")
    if wanted or tag:
        edge, edge_id = place.key or (None, None)
        edge = edge.isoformat() if isinstance(edge, datetime) else edge
        called = func.search_contacts(wanted, limit, tag, place.sort, place.backwards, edge, edge_id)
        found = called.table_valued("contact_id").render_derived()
        return query.where(Contact.id.in_(select(found.c.contact_id)))
    if place.key is not None:
        query = query.where(sort.beyond(place.key, backwards=place.backwards))
    return query.limit(limit)


def find(session: Session, text: str, limit: int = 8) -> list[Contact]:
    """The most recently active matches, for choosing one; with `points`."""
    return list(session.scalars(_rows(text, "", Place(), limit).options(selectinload(Contact.points))))
