"""What people do with conversations: assign, close, reopen, star, snooze, read. One by one or many at once.

Each deed takes a locked conversation; what colleagues should know of becomes a line in the thread. The caller commits.
"""

import uuid
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.core.actor import Actor
from app.core.errors import Invalid
from app.domain.conversations import add_event
from app.models.conversation import Conversation
from app.models.user import User


def assign(session: Session, conversation: Conversation, person: User | None, by: Actor) -> None:
    """`person` must be somebody who may enter the account; None gives it back to everybody."""
    wanted = person.id if person else None
    if conversation.assigned_to == wanted:
        return
    conversation.assigned_to = wanted
    if person is None:
        text = f"{by.name} unassigned this"
    elif person.id == by.user_id:
        text = f"{by.name} took this"
    else:
        text = f"{by.name} assigned this to {person.name}"
    add_event(session, conversation, "assigned", text, by.user_id, to=str(wanted or ""))


def close(session: Session, conversation: Conversation, by: Actor) -> None:
    """Done with it: leaves the open tabs until the contact writes again."""
    if conversation.status == "closed":
        return
    conversation.status = "closed"
    conversation.snoozed_until = None
    conversation.unread_count = 0
    add_event(session, conversation, "closed", f"{by.name} closed this", by.user_id)


def reopen(session: Session, conversation: Conversation, by: Actor) -> None:
    if conversation.status == "open":
        return
    conversation.status = "open"
    add_event(session, conversation, "reopened", f"{by.name} reopened this", by.user_id)


def star(conversation: Conversation, starred: bool) -> None:
    conversation.starred = starred


def snooze(session: Session, conversation: Conversation, until: datetime, words: str, by: Actor) -> None:
    """Hidden from the open tabs until then, or until the contact writes; `words` say the time for people."""
    conversation.status = "open"
    conversation.snoozed_until = until
    conversation.unread_count = 0
    add_event(
        session,
        conversation,
        "snoozed",
        f"{by.name} snoozed this until {words}",
        by.user_id,
        until=until.isoformat(),
    )


def wake(session: Session, conversation: Conversation, by: Actor) -> None:
    if conversation.snoozed_until is None:
        return
    conversation.snoozed_until = None
    add_event(session, conversation, "woken", f"{by.name} ended the snooze", by.user_id)


def mark_unread(conversation: Conversation) -> None:
    conversation.unread_count = max(1, conversation.unread_count)


def mark_read(session: Session, conversation_id: uuid.UUID, seen_seq: int) -> bool:
    """Read up to what was on the screen: something newer that the reader has not seen stays unread."""
    changed = session.execute(
        update(Conversation)
        .where(
            Conversation.id == conversation_id,
            Conversation.unread_count > 0,
            Conversation.seq <= seen_seq,
        )
        .values(unread_count=0)
        .returning(Conversation.id)
    )
    return changed.first() is not None


def locked_many(session: Session, ids: list[uuid.UUID]) -> list[Conversation]:
    """Those of the ids that are conversations of this account, locked in one order."""
    return list(
        session.scalars(
            select(Conversation)
            .where(Conversation.id.in_(ids))
            .order_by(Conversation.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    )


Deed = Callable[[Session, Conversation, Actor], None]

# The deeds of the bar that appears when conversations are selected, beside assigning and snoozing.
DEEDS: dict[str, Deed] = {
    "close": close,
    "reopen": reopen,
    "star": lambda session, conversation, by: star(conversation, True),
    "unstar": lambda session, conversation, by: star(conversation, False),
    "read": lambda session, conversation, by: setattr(conversation, "unread_count", 0),
    "unread": lambda session, conversation, by: mark_unread(conversation),
    "wake": wake,
}


def person_named(people: list[User], user_id: str) -> User | None:
    """The person behind an id from a form; None for the empty id. Raises Invalid for anybody else."""
    if not user_id:
        return None
    for person in people:
        if str(person.id) == user_id:
            return person
    raise Invalid({"person": "That person does not work in this account."})
