"""Contacts: making, changing, deleting with a way back, and finding the one behind a number.

A deleted contact is hidden everywhere for 30 days, keeps its numbers meanwhile, and comes back by Undo or by writing
again. Phones and addresses are in contact_points.py, tags in contact_tags.py, lists in contact_list.py.
"""

import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from app.core.actor import Actor
from app.core.clock import now
from app.core.errors import Invalid, NotFound
from app.core.folding import clean
from app.core.tenancy import entered_account
from app.domain import access, audit, contact_points, contact_tags, custom_fields
from app.domain.contact_index import index
from app.domain.sending import queue
from app.models.account import Account
from app.models.contact import Contact, CustomField
from app.models.message import WAITING_STATES, Attachment, Message

KEPT_AFTER_DELETION = timedelta(days=30)
NAMES = ("first_name", "last_name", "company")
LONGEST = {"first_name": 100, "last_name": 100, "company": 150, "source": 100, "notes": 10_000}
MOST_AT_ONCE = 200


def get(session: Session, contact_id: uuid.UUID, *, lock: bool = False) -> Contact:
    """The contact with `points`. `lock` before a change, so that two people who edit at once do not undo each other.
    Raises NotFound, also for a deleted one."""
    query = (
        select(Contact)
        .where(Contact.id == contact_id, Contact.deleted_at.is_(None))
        .options(joinedload(Contact.points))
        .execution_options(populate_existing=True)
    )
    if lock:
        query = query.with_for_update(of=Contact)
    found = session.scalars(query).unique().one_or_none()
    if found is None:
        raise NotFound
    return found


def get_deleted(session: Session, contact_id: uuid.UUID) -> Contact:
    """A contact that is deleted and not yet gone, with `points`. Raises NotFound."""
    query = select(Contact).where(Contact.id == contact_id, Contact.deleted_at.is_not(None))
    found = session.scalar(query.options(selectinload(Contact.points)))
    if found is None:
        raise NotFound
    return found


def create(
    session: Session,
    account: Account,
    *,
    first_name: str = "",
    last_name: str = "",
    company: str = "",
    phones: Sequence[str] = (),
    emails: Sequence[str] = (),
    tags: Iterable[str] = (),
    custom: dict[str, str] | None = None,
    owner_id: uuid.UUID | str | None = None,
    source: str = "",
    notes: str = "",
) -> Contact:
    """A new contact from what a person typed, with `points`. Raises Invalid (Taken when only a number is in the way)."""
    contact = Contact(account_id=account.id, points=[], tags=[], custom={}, last_activity_at=now())
    wrong: dict[str, str] = {}
    typed = {
        "first_name": first_name,
        "last_name": last_name,
        "company": company,
        "source": source,
        "notes": notes,
        "owner_id": str(owner_id or ""),
    }
    fields = custom_fields.of_account(session) if custom else []
    for key, text in {**typed, **{f"custom.{key}": text for key, text in (custom or {}).items()}}.items():
        try:
            _set(session, account, contact, key, text, fields)
        except Invalid as error:
            wrong |= error.fields
    values, taken = _read_points(session, account, phones, emails, wrong)
    try:
        contact.tags = contact_tags.spell(session, tags)
    except Invalid as error:
        wrong |= error.fields
    if not (contact.name or contact.company or values or wrong):
        wrong["first_name"] = "Give a name, a company, a phone or an e-mail address."
    if taken is not None and len(wrong) == 1:
        raise taken
    if wrong:
        raise Invalid(wrong)
    session.add(contact)
    session.flush()
    for kind, value in values:
        contact_points.attach(session, contact, kind, value)
    index(contact)
    session.flush()
    return contact


def _read_points(
    session: Session, account: Account, phones: Sequence[str], emails: Sequence[str], wrong: dict[str, str]
) -> tuple[list[tuple[str, str]], contact_points.Taken | None]:
    """What was given, read and free; the rest goes into `wrong`, and the last one that is somebody else's is returned."""
    values: dict[tuple[str, str], None] = {}
    taken: contact_points.Taken | None = None
    for kind, text in [*(("phone", one) for one in phones), *(("email", one) for one in emails)]:
        if not text.strip():
            continue
        try:
            value = contact_points.read(kind, text, account.country)
            contact_points.check_free(session, kind, value)
            values[kind, value] = None
        except contact_points.Taken as error:
            taken = error
            wrong |= error.fields
        except Invalid as error:
            wrong |= error.fields
    return list(values), taken


def set_field(
    session: Session,
    account: Account,
    contact: Contact,
    key: str,
    typed: str,
    fields: list[CustomField] | None = None,
) -> None:
    """One field from what was typed; `key` is a column or custom.<key>. Raises Invalid under that key, NotFound."""
    before = {column: getattr(contact, column) for column in NAMES}
    _set(
        session, account, contact, key, typed, custom_fields.of_account(session) if fields is None else fields
    )
    if key in NAMES and not (contact.name or contact.company or contact.points):
        setattr(contact, key, before[key])
        raise Invalid({key: "Without a phone or an address, a contact needs a name or a company."})
    contact.updated_at = now()
    index(contact)
    session.flush()


def _set(
    session: Session, account: Account, contact: Contact, key: str, typed: str, fields: list[CustomField]
) -> None:
    if key in LONGEST:
        text = clean(typed, lines=key == "notes")
        if len(text) > LONGEST[key]:
            raise Invalid({key: f"Keep it within {LONGEST[key]:,} characters."})
        setattr(contact, key, text)
    elif key == "owner_id":
        contact.owner_id = _read_owner(session, account, typed)
    else:
        _set_custom(contact, key, typed, fields)


def _read_owner(session: Session, account: Account, typed: str) -> uuid.UUID | None:
    if not typed:
        return None
    for person in access.people_of_account(session, account):
        if str(person.id) == typed:
            return person.id
    raise Invalid({"owner_id": "Choose somebody who works in this account."})


def _set_custom(contact: Contact, key: str, typed: str, fields: list[CustomField]) -> None:
    field = next((one for one in fields if f"custom.{one.key}" == key), None)
    if field is None:
        raise NotFound
    try:
        value = custom_fields.read_value(field, typed)
    except ValueError as error:
        # A choice that was taken off the list may stay.
        if typed != contact.custom.get(field.key):
            raise Invalid({key: str(error)}) from error
        return
    custom: dict[str, Any] = {name: held for name, held in contact.custom.items() if name != field.key}
    contact.custom = custom if value is None else {**custom, field.key: value}


def chosen(session: Session, contact_ids: Sequence[uuid.UUID], *, lock: bool = True) -> Sequence[Contact]:
    """Those of the given contacts that exist here, with `points`; locked for a change of the contacts themselves."""
    query = (
        select(Contact)
        .where(Contact.id.in_(contact_ids[:MOST_AT_ONCE]), Contact.deleted_at.is_(None))
        .options(selectinload(Contact.points))
        .order_by(Contact.id)
    )
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return session.scalars(query).all()


def delete(session: Session, actor: Actor, contacts: Sequence[Contact]) -> None:
    """Hides them everywhere, for good after 30 days; texts to them that wait are canceled.

    The contacts come unlocked: the house locks a conversation before anything else of it.
    """
    _cancel_waiting(session, actor, [contact.id for contact in contacts])
    for contact in contacts:
        contact.deleted_at = now()
        audit.note(
            session,
            actor,
            "contact.deleted",
            contact.display_name,
            account_id=contact.account_id,
            contact_id=str(contact.id),
        )
    session.flush()


def _cancel_waiting(session: Session, actor: Actor, contact_ids: Sequence[uuid.UUID]) -> None:
    waiting = session.scalars(
        select(Message)
        .where(Message.contact_id.in_(contact_ids), Message.state.in_(WAITING_STATES))
        .order_by(Message.conversation_id, Message.seq)
    ).all()
    for message in waiting:
        # Too late for one that is on its way; it was sent before the contact was deleted.
        with suppress(Invalid):
            queue.cancel(session, message, actor.name)


def restore(session: Session, actor: Actor, contact_ids: Sequence[uuid.UUID]) -> list[Contact]:
    """Brings deleted contacts back; those that are not deleted are left alone."""
    found = session.scalars(
        select(Contact)
        .where(Contact.id.in_(contact_ids[:MOST_AT_ONCE]), Contact.deleted_at.is_not(None))
        .options(selectinload(Contact.points))
        .order_by(Contact.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    for contact in found:
        _bring_back(session, actor, contact)
    session.flush()
    return list(found)


def _bring_back(session: Session, actor: Actor, contact: Contact) -> None:
    contact.deleted_at = None
    audit.note(
        session,
        actor,
        "contact.restored",
        contact.display_name,
        account_id=contact.account_id,
        contact_id=str(contact.id),
    )


def purge_deleted(session: Session) -> list[str]:
    """Removes contacts of the entered account that were deleted more than 30 days ago, with all that was said.

    The consent ledger stays: it is proof, and binds whoever gets the number next. Gives the storage keys of their
    pictures; the caller deletes those files after its commit.
    """
    due = select(Contact.id).where(
        Contact.account_id == entered_account(session), Contact.deleted_at < now() - KEPT_AFTER_DELETION
    )
    keys = session.scalars(
        select(Attachment.storage_key)
        .join(Message, Message.id == Attachment.message_id)
        .where(Message.contact_id.in_(due), Attachment.storage_key.is_not(None))
    ).all()
    session.execute(
        sql_delete(Contact).where(Contact.id.in_(due)).execution_options(synchronize_session=False)
    )
    return [key for key in keys if key]


def find_or_create_by_phone(
    session: Session, account_id: uuid.UUID, e164: str, *, name: str = "", source: str = ""
) -> Contact:
    """Whoever has this line in any spelling, with `points`; somebody new otherwise. A deleted contact comes back.

    The caller holds the identity's advisory lock and has entered the account.
    """
    found = contact_points.holders(session, "phone", e164)
    if found:
        contact = found[0]
        if contact.deleted_at is not None:
            account = session.get_one(Account, account_id)
            _bring_back(session, Actor(account.agency_id, None, "Their own message"), contact)
            session.flush()
        return contact
    first, _, last = clean(name).partition(" ")
    contact = Contact(
        account_id=account_id,
        first_name=first[:100],
        last_name=last[:100],
        source=clean(source)[:100],
        tags=[],
        custom={},
        points=[],
        last_activity_at=now(),
    )
    session.add(contact)
    session.flush()
    contact_points.attach(session, contact, "phone", e164)
    index(contact)
    session.flush()
    return contact
