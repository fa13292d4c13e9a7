"""One contact: its page, its card (which the inbox shows too), the timeline, and every change made in place.

Each change answers an HTMX request with the parts that look different now, the first in band and the rest out of band;
a plain form gets the page again. What was refused stands in `wrong`: by part, the sentence and what was typed.
"""

import uuid
from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, g, make_response, render_template, request, url_for

from app.core import htmx
from app.core.clock import now
from app.core.errors import Invalid, NotFound
from app.core.request_scope import actor, db
from app.domain import (
    access,
    audit,
    consent,
    contact_points,
    contact_tags,
    contact_timeline,
    contacts,
    conversations,
    custom_fields,
)
from app.domain.contact_points import Taken
from app.models.contact import Contact
from app.models.user import User
from app.web import notices
from app.web.contacts import taken_words

blueprint = Blueprint("contact", __name__, url_prefix="/a/<account>/contacts/<uuid:contact_id>")

Wrong = dict[str, tuple[str, str]]
STATES = {"opted_in": "Opt-in", "opted_out": "Opt-out"}


def card_values(contact: Contact) -> dict[str, Any]:
    """What templates/contacts/_card.html wants: contact (points loaded), people, custom_fields."""
    return {
        "contact": contact,
        "people": access.people_of_account(db(), g.account),
        "custom_fields": custom_fields.of_account(db()),
    }


def _page_values(contact: Contact) -> dict[str, Any]:
    values = card_values(contact)
    ledger = _consent_values(contact, values["people"])
    return values | ledger | _timeline_values(contact) | {"nav": "contacts"}


def _consent_values(contact: Contact, people: Sequence[User]) -> dict[str, Any]:
    phones = [point.value for point in contact.points if point.kind == "phone"]
    by_phone: dict[str, list[Any]] = {phone: [] for phone in phones}
    for entry in consent.history(db(), phones) if phones else []:
        by_phone[entry.address].append(entry)
    return {"ledger": by_phone, "people_by_id": {person.id: person for person in people}}


def _timeline_values(contact: Contact) -> dict[str, Any]:
    before = request.args.get("before", type=int)
    return {"timeline": contact_timeline.of_contact(db(), contact.id, before=before), "contact": contact}


@blueprint.get("")
def show(account: str, contact_id: uuid.UUID) -> str:
    contact = contacts.get(db(), contact_id)
    return render_template("contacts/show.html", edit=request.args.get("edit", ""), **_page_values(contact))


@blueprint.get("/card")
@htmx.piece_of("contact.show")
def card(account: str, contact_id: uuid.UUID) -> str:
    return render_template("contacts/_card.html", **card_values(contacts.get(db(), contact_id)))


@blueprint.get("/timeline")
@htmx.piece_of("contact.show")
def timeline(account: str, contact_id: uuid.UUID) -> str:
    """The entries before `before`; `day` is the heading that stands above already."""
    contact = contacts.get(db(), contact_id)
    people = access.people_of_account(db(), g.account)
    values = _timeline_values(contact) | {"people_by_id": {person.id: person for person in people}}
    return render_template("contacts/_timeline_entries.html", last_day=request.args.get("day", ""), **values)


@blueprint.post("/fields/<key>")
def set_field(account: str, contact_id: uuid.UUID, key: str) -> Response:
    """One field. With `undo` the answer is out of band only, since the request came from a toast."""
    contact = contacts.get(db(), contact_id, lock=True)
    fields = custom_fields.of_account(db())
    typed = request.form.get("value", "")
    before = _shown(contact, key)
    try:
        contacts.set_field(db(), g.account, contact, key, typed, fields)
    except Invalid as error:
        db().rollback()
        return _answer(contact_id, ["_fact.html"], wrong={key: (error.fields[key], typed)}, key=key)
    after = _shown(contact, key)
    db().commit()
    undone = "undo" in request.form
    toast = None
    if before != after:
        label = next((field.label for field in fields if f"custom.{field.key}" == key), LABELS.get(key, key))
        toast = _toast(f"{label} {'put back' if undone else 'saved'}")
        if not undone:
            toast |= {"undo_url": request.path, "undo_fields": {"value": before, "undo": "1"}}
    return _answer(contact_id, ["_fact.html", "_head.html"], toast=toast, key=key)


LABELS = {
    "first_name": "First name",
    "last_name": "Last name",
    "company": "Company",
    "owner_id": "Owner",
    "source": "Source",
    "notes": "Notes",
}


def _shown(contact: Contact, key: str) -> str:
    """The value as the input holds it."""
    if key.startswith("custom."):
        value = contact.custom.get(key.removeprefix("custom."), "")
        return ("yes" if value else "no") if isinstance(value, bool) else str(value)
    return str(getattr(contact, key, None) or "") if key in LABELS else ""


@blueprint.get("/points")
def points(account: str, contact_id: uuid.UUID) -> Response:
    """Phones and addresses, one of them open for a change when `edit` names it."""
    edit = request.args.get("edit", "")
    if not htmx.is_htmx():
        contacts.get(db(), contact_id)
        return htmx.go_to(url_for(".show", account=account, contact_id=contact_id, edit=edit or None))
    return _answer(contact_id, ["_points.html"], edit=edit)


@blueprint.post("/points")
def add_point(account: str, contact_id: uuid.UUID) -> Response:
    typed = request.form.get("value", "")
    contact = contacts.get(db(), contact_id, lock=True)
    kind = "email" if "@" in typed else "phone"
    try:
        contact_points.add(db(), contact, kind, typed, g.account.country)
        db().commit()
    except Invalid as error:
        return _refuse_point(contact_id, "point", error, kind, typed)
    return _answer(contact_id, ["_points.html", "_head.html", "_consent.html"])


@blueprint.post("/points/<uuid:point_id>")
def change_point(account: str, contact_id: uuid.UUID, point_id: uuid.UUID) -> Response:
    typed = request.form.get("value", "")
    contact = contacts.get(db(), contact_id, lock=True)
    point = contact_points.of(contact, point_id)
    try:
        contact_points.change(db(), contact, point, typed, g.account.country)
        contact_points.name(point, request.form.get("label", ""))
        db().commit()
    except Invalid as error:
        return _refuse_point(contact_id, str(point_id), error, point.kind, typed, edit=str(point_id))
    return _answer(contact_id, ["_points.html", "_head.html", "_consent.html"])


@blueprint.post("/points/<uuid:point_id>/remove")
def remove_point(account: str, contact_id: uuid.UUID, point_id: uuid.UUID) -> Response:
    contact = contacts.get(db(), contact_id, lock=True)
    point = contact_points.of(contact, point_id)
    try:
        contact_points.remove(db(), contact, point)
        db().commit()
    except Invalid as error:
        return _refuse_point(contact_id, "point", error, point.kind, "")
    undo_url = url_for(".add_point", account=account, contact_id=contact_id)
    what = "Number" if point.kind == "phone" else "Address"
    toast = _toast(f"{what} removed", undo_url, value=point.value, undo="1")
    return _answer(contact_id, ["_points.html", "_head.html", "_consent.html"], toast=toast)


@blueprint.post("/points/<uuid:point_id>/move")
def move_point(account: str, contact_id: uuid.UUID, point_id: uuid.UUID) -> Response:
    contact = contacts.get(db(), contact_id, lock=True)
    step = -1 if request.form.get("step") == "up" else 1
    contact_points.move(db(), contact, contact_points.of(contact, point_id), step)
    db().commit()
    return _answer(contact_id, ["_points.html", "_head.html", "_consent.html"])


def _refuse_point(
    contact_id: uuid.UUID, part: str, error: Invalid, kind: str, typed: str, *, edit: str = ""
) -> Response:
    db().rollback()
    sentence = taken_words(error) if isinstance(error, Taken) else error.fields[kind]
    return _answer(contact_id, ["_points.html"], wrong={part: (sentence, typed)}, edit=edit)


@blueprint.post("/tags")
def add_tag(account: str, contact_id: uuid.UUID) -> Response:
    contact = contacts.get(db(), contact_id, lock=True)
    typed = request.form.get("tag", "")
    try:
        for tag in typed.split(",") if typed.strip(", ") else [""]:
            if tag.strip() or not typed.strip(", "):
                contact_tags.add(db(), [contact], tag)
        db().commit()
    except Invalid as error:
        db().rollback()
        return _answer(contact_id, ["_tags.html"], wrong={"tags": (error.fields["tags"], typed)})
    return _answer(contact_id, ["_tags.html"])


@blueprint.post("/tags/remove")
def remove_tag(account: str, contact_id: uuid.UUID) -> Response:
    contact = contacts.get(db(), contact_id, lock=True)
    contact_tags.remove(db(), [contact], request.form.get("tag", ""))
    db().commit()
    return _answer(contact_id, ["_tags.html"])


@blueprint.post("/consent")
def record_consent(account: str, contact_id: uuid.UUID) -> Response:
    """What a person was told about being texted. The reason is the proof, so there is none without it."""
    contact = contacts.get(db(), contact_id)
    address, state = request.form.get("address", ""), request.form.get("state", "")
    reason = request.form.get("reason", "").strip()
    held = {point.value for point in contact.points if point.kind == "phone"}
    if address not in held or state not in STATES:
        raise NotFound
    if not reason or len(reason) > 500:
        sentence = (
            "Keep it within 500 characters." if reason else "Say how you know: what was said, when and where."
        )
        return _answer(contact_id, ["_consent.html"], wrong={f"{state} {address}": (sentence, reason)})
    by = actor()
    consent.record(
        db(),
        address=address,
        state=state,
        source="person",
        wording=reason,
        at=now(),
        contact_id=contact.id,
        user_id=by.user_id,
    )
    audit.note(
        db(),
        by,
        "contact.consent_recorded",
        contact.display_name,
        account_id=contact.account_id,
        contact_id=str(contact.id),
        state=state,
        number_ends=address[-4:],
    )
    db().commit()
    toast = _toast(f"{STATES[state]} recorded")
    return _answer(contact_id, ["_consent.html", "_points.html", "_head.html"], toast=toast)


@blueprint.post("/delete")
def delete(account: str, contact_id: uuid.UUID) -> Response:
    contact = contacts.get(db(), contact_id)
    contacts.delete(db(), actor(), [contact])
    db().commit()
    undo = url_for("contacts.restore", account=account)
    notices.say(f"{contact.display_name} deleted", undo_url=undo, undo_fields={"ids": str(contact.id)})
    return htmx.go_to(url_for("contacts.index", account=account))


@blueprint.post("/conversation")
def open_conversation(account: str, contact_id: uuid.UUID) -> Response:
    """Finds or begins the conversation and goes there."""
    conversation = conversations.for_contact(db(), contacts.get(db(), contact_id))
    db().commit()
    return htmx.go_to(f"/a/{account}/inbox/c/{conversation.id}")


def _toast(text: str, undo_url: str = "", **undo_fields: str) -> dict[str, Any]:
    return {"kind": "success", "text": text, "undo_url": undo_url, "undo_fields": undo_fields}


def _answer(
    contact_id: uuid.UUID,
    parts: list[str],
    *,
    wrong: Wrong | None = None,
    toast: dict[str, Any] | None = None,
    **more: Any,
) -> Response:
    """The parts of the contact as they are now; 422 when something is `wrong`."""
    contact = contacts.get(db(), contact_id)
    status = 422 if wrong else 200
    if not htmx.is_htmx():
        if wrong is None:
            return htmx.go_to(url_for(".show", account=g.account.slug, contact_id=contact_id))
        page = render_template("contacts/show.html", **_page_values(contact), wrong=wrong, **more)
        return make_response(page, status)
    values = card_values(contact)
    # The inbox shows the card alone: what it has no place for is left out.
    on_page = f"/contacts/{contact_id}" in request.headers.get("HX-Current-URL", "")
    parts = [part for place, part in enumerate(parts) if part != "_consent.html" or on_page or place == 0]
    if "_consent.html" in parts:
        values |= _consent_values(contact, values["people"])
    in_band = 0 if "undo" in request.form else 1
    return make_response(
        render_template(
            "contacts/_parts.html",
            parts=parts,
            in_band=in_band,
            wrong=wrong or {},
            toast=toast,
            on_page=on_page,
            **values,
            **more,
        ),
        status,
    )
