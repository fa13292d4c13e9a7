"""The account's own fields on contacts: what they are called, what may stand in them, and the check of a value.

A field's `key` is drawn from its first label and never changes, since texts refer to it ({{contact.custom.key}}). The
kind never changes either: values that are stored would no longer fit. Values live in `Contact.custom`.
"""

import math
import re
import uuid
from collections.abc import Callable
from datetime import date
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.core.actor import Actor
from app.core.errors import Invalid, NotFound
from app.core.folding import clean, fold
from app.core.tenancy import entered_account
from app.domain import audit
from app.models.contact import Contact, CustomField

KINDS = {
    "text": "Text",
    "number": "Number",
    "date": "Date",
    "choice": "Choice from a list",
    "yes_no": "Yes or no",
}
MOST_FIELDS = 50
MOST_OPTIONS = 50
LONGEST_LABEL = 60
LONGEST_TEXT = 2000
Value = str | int | float | bool


def of_account(session: Session) -> list[CustomField]:
    """In the order chosen by the account."""
    return list(session.scalars(select(CustomField).order_by(CustomField.position, CustomField.id)))


def get(session: Session, field_id: uuid.UUID) -> CustomField:
    found = session.get(CustomField, field_id)
    if found is None:
        raise NotFound
    return found


def create(
    session: Session, actor: Actor, *, label: str, kind: str, options: list[str] | None = None
) -> CustomField:
    """Raises Invalid for label, kind or options."""
    present = of_account(session)
    if len(present) >= MOST_FIELDS:
        raise Invalid({"": f"An account can have {MOST_FIELDS} fields. Delete one that is not needed."})
    label = _label(label, present)
    if kind not in KINDS:
        raise Invalid({"kind": "Choose what the field holds."})
    field = CustomField(
        account_id=entered_account(session),
        key=_free_key(label, {one.key for one in present}),
        label=label,
        kind=kind,
        options=_options(options or []) if kind == "choice" else [],
        position=max((one.position for one in present), default=-1) + 1,
    )
    session.add(field)
    session.flush()
    audit.note(session, actor, "custom_field.created", label, account_id=field.account_id)
    return field


def change(
    session: Session, actor: Actor, field: CustomField, *, label: str, options: list[str] | None = None
) -> None:
    """Rename, and set the options of a choice. A value that is no longer offered stays where it stands."""
    others = [one for one in of_account(session) if one.id != field.id]
    label = _label(label, others)
    if field.kind == "choice":
        field.options = _options(options or [])
    if label != field.label:
        audit.note(
            session, actor, "custom_field.renamed", label, account_id=field.account_id, before=field.label
        )
        field.label = label
    session.flush()


def move(session: Session, field: CustomField, step: int) -> None:
    """One place up (-1) or down (1); at the end nothing happens."""
    fields = of_account(session)
    at = next(i for i, one in enumerate(fields) if one.id == field.id)
    to = min(max(at + step, 0), len(fields) - 1)
    fields.insert(to, fields.pop(at))
    for position, one in enumerate(fields):
        one.position = position


def used_by(session: Session) -> dict[str, int]:
    """How many contacts have a value, by key."""
    keys = (
        select(func.jsonb_object_keys(Contact.custom).label("key"))
        .where(Contact.deleted_at.is_(None))
        .subquery()
    )
    query = select(keys.c.key, func.count()).group_by(keys.c.key)
    return {name: count for name, count in session.execute(query)}


def delete(session: Session, actor: Actor, field: CustomField) -> None:
    """The field and every value in it, for good."""
    session.execute(
        update(Contact)
        .where(Contact.custom.has_key(field.key))
        .values(custom=Contact.custom.op("-")(field.key))
        .execution_options(synchronize_session=False)
    )
    audit.note(session, actor, "custom_field.deleted", field.label, account_id=field.account_id)
    session.delete(field)
    session.flush()


def read_value(field: CustomField, typed: str) -> Value | None:
    """What is stored for what was typed; None for nothing. ValueError with a sentence when it does not fit."""
    text = clean(typed, lines=True)
    if not text:
        return None
    return _READERS[field.kind](field, text)


def show_value(field: CustomField, value: Any) -> str:
    """The stored value as the text that an input holds, so that reading it back gives the same value."""
    if value is None:
        return ""
    if field.kind == "yes_no":
        return "yes" if value else "no"
    return str(value)


def _read_text(field: CustomField, text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"That is longer than {LONGEST_TEXT} characters.")
    return text


def _read_number(field: CustomField, text: str) -> int | float:
    plain = text.replace(" ", "")
    try:
        value = float(plain)
    except ValueError as error:
        raise ValueError("Type a number, like 12 or 3.5.") from error
    if not math.isfinite(value) or abs(value) >= 1e15:
        raise ValueError("That number is too large.")
    return int(value) if value.is_integer() else value


def _read_date(field: CustomField, text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise ValueError("Type a date as year-month-day, like 2026-03-14.") from error


def _read_choice(field: CustomField, text: str) -> str:
    if text not in field.options:
        raise ValueError("Choose one of the options.")
    return text


def _read_yes_no(field: CustomField, text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError("Choose yes or no.")
    return text == "yes"


_READERS: dict[str, Callable[[CustomField, str], Value]] = {
    "text": _read_text,
    "number": _read_number,
    "date": _read_date,
    "choice": _read_choice,
    "yes_no": _read_yes_no,
}


def _label(label: str, others: list[CustomField]) -> str:
    label = clean(label)
    if not label:
        raise Invalid({"label": "Give the field a name."})
    if len(label) > LONGEST_LABEL:
        raise Invalid({"label": f"Keep the name within {LONGEST_LABEL} characters."})
    if any(fold(one.label) == fold(label) for one in others):
        raise Invalid({"label": f"There is a field called {label} already."})
    return label


def _options(options: list[str]) -> list[str]:
    kept: dict[str, str] = {}
    for option in options:
        text = clean(option)
        if text:
            kept.setdefault(fold(text), text)
    if not kept:
        raise Invalid({"options": "List at least one option, one per line."})
    if len(kept) > MOST_OPTIONS or any(len(text) > LONGEST_LABEL for text in kept.values()):
        raise Invalid({"options": f"At most {MOST_OPTIONS} options of {LONGEST_LABEL} characters each."})
    return list(kept.values())


def _free_key(label: str, taken: set[str]) -> str:
    stem = re.sub(r"[^a-z0-9]+", "_", fold(label)).strip("_")[:40] or "field"
    if stem[0].isdigit():
        stem = f"field_{stem}"
    key, number = stem, 2
    while key in taken:
        key, number = f"{stem}_{number}", number + 1
    return key
