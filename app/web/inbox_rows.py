"""The rows of the inbox list as they look. Fifty open lists ask every three seconds for rows of which few have changed, so a
row is drawn once for each way it looks: the template gets a look and nothing else, which makes it a pure function.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from uuid import UUID

from flask import g, render_template, url_for
from markupsafe import Markup

from app.domain.inbox import Row
from app.web.context import words
from app.web.identity import initials

KEPT = 4000


@dataclass(frozen=True, slots=True)
class Look:
    """Everything templates/inbox/_row.html shows."""

    id: UUID
    contact_id: UUID
    url: str
    name: str
    initials: str
    last_at: str
    moment: str
    age: str
    last_text: str
    last_direction: str
    last_state: str
    unread_count: int
    is_starred: bool
    is_closed: bool
    snoozed_until: str
    assigned_to: UUID | None
    assignee: str
    assignee_initials: str
    is_open: bool = False


def looks_of(rows: list[Row], names: dict[UUID, str], query: str) -> list[Look]:
    """`query` goes behind the address of each conversation."""
    # Made once: the addresses differ in the id alone.
    url, placeholder = (
        url_for("thread.show", account=g.account.slug, conversation_id=UUID(int=0)),
        str(UUID(int=0)),
    )
    return [_look(row, names, url.replace(placeholder, str(row.conversation.id)) + query) for row in rows]


def _look(row: Row, names: dict[UUID, str], url: str) -> Look:
    talk, say = row.conversation, words()
    who = names.get(talk.assigned_to, "Somebody") if talk.assigned_to else ""
    return Look(
        talk.id,
        talk.contact_id,
        url,
        row.name or say.phone(row.phone) or "No name",
        row.initials or "#",
        talk.last_at.isoformat(),
        say.moment(talk.last_at),
        say.age(talk.last_at),
        talk.last_text or "",
        talk.last_direction or "",
        talk.last_state or "",
        talk.unread_count,
        talk.starred,
        talk.status == "closed",
        say.when(talk.snoozed_until) if talk.snoozed_until else "",
        talk.assigned_to,
        who,
        initials(who) if who else "",
    )


def drawn(looks: list[Look], open_id: Any) -> Markup:
    """`open_id` is the conversation in the second pane."""
    return Markup("").join(
        _drawn(replace(look, is_open=True) if look.id == open_id else look) for look in looks
    )


@lru_cache(maxsize=KEPT)
def _drawn(look: Look) -> Markup:
    return Markup(render_template("inbox/_row.html", look=look))
