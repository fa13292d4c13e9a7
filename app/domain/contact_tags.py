"""Tags on contacts: short free words, the same one in one spelling over the whole account."""

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.clock import now
from app.core.errors import Invalid
from app.core.folding import clean, fold
from app.domain.contact_index import index
from app.models.contact import Contact, Tag

LONGEST_TAG = 40
MOST_TAGS = 30
MOST_LISTED = 300


def read(tags: Iterable[str]) -> list[str]:
    """In the order given, without repeats in another case. Raises Invalid."""
    kept: dict[str, str] = {}
    for tag in tags:
        text = clean(tag.replace(",", " "))
        if len(text) > LONGEST_TAG:
            raise Invalid({"tags": f"Keep a tag within {LONGEST_TAG} characters."})
        if text:
            kept.setdefault(fold(text), text)
    if len(kept) > MOST_TAGS:
        raise Invalid({"tags": f"A contact can have {MOST_TAGS} tags."})
    return list(kept.values())


def of_account(session: Session) -> list[str]:
    """Tags in use, by the alphabet."""
    return sorted(session.scalars(select(Tag.name).order_by(Tag.name).limit(MOST_LISTED)), key=fold)


def spell(session: Session, tags: Iterable[str]) -> list[str]:
    """The tags as the account spells them already. Raises Invalid."""
    wanted = read(tags)
    if not wanted:
        return []
    known = {fold(one): one for one in of_account(session)}
    return [known.get(fold(one), one) for one in wanted]


def add(session: Session, contacts: Sequence[Contact], tag: str) -> str:
    """Adds the tag to each (`points` loaded); gives its spelling. Raises Invalid."""
    spelt = spell(session, [tag])
    if not spelt:
        raise Invalid({"tags": "Type a tag."})
    for contact in contacts:
        if fold(spelt[0]) not in map(fold, contact.tags):
            _put(contact, read([*contact.tags, spelt[0]]))
    session.flush()
    return spelt[0]


def remove(session: Session, contacts: Sequence[Contact], tag: str) -> int:
    """Takes the tag off each (`points` loaded); gives the number that had it."""
    held = [contact for contact in contacts if fold(tag) in map(fold, contact.tags)]
    for contact in held:
        _put(contact, [one for one in contact.tags if fold(one) != fold(tag)])
    session.flush()
    return len(held)


def _put(contact: Contact, tags: list[str]) -> None:
    contact.tags = tags
    contact.updated_at = now()
    index(contact)
