"""The list of contacts: searching, paging, making one, changing or deleting several. One contact's page is in contact.py."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from flask import Blueprint, Response, g, make_response, render_template, request, url_for
from markupsafe import Markup
from wtforms import Field, SelectField, StringField, TextAreaField
from wtforms.validators import Length

from app.core import htmx
from app.core.errors import Invalid
from app.core.ids import parse_id
from app.core.request_scope import actor, db
from app.domain import access, contact_list, contact_points, contact_tags, contacts, custom_fields
from app.models.contact import Contact, CustomField
from app.models.user import User
from app.web import notices
from app.web.forms import Form, sent

blueprint = Blueprint("contacts", __name__, url_prefix="/a/<account>/contacts")


@dataclass(frozen=True)
class View:
    """What part of the list is shown, as it stands in the address."""

    q: str = ""
    tag: str = ""
    sort: str = "activity"
    after: str = ""
    before: str = ""

    @classmethod
    def asked(cls) -> "View":
        held = request.values
        sort = held.get("sort", "")
        return cls(
            q=held.get("q", "").strip()[:200],
            tag=held.get("tag", "")[:100],
            sort=sort if sort in contact_list.SORTS else "activity",
            after=held.get("after", ""),
            before=held.get("before", ""),
        )

    def url(self, **change: str) -> str:
        held = {**asdict(self), **change}
        if held["sort"] == "activity":
            held.pop("sort")
        return url_for(
            "contacts.index", account=g.account.slug, **{key: text for key, text in held.items() if text}
        )


def _list_values(view: View) -> dict[str, Any]:
    page = contact_list.page(
        db(), text=view.q, tag=view.tag, sort=view.sort, after=view.after, before=view.before
    )
    people = access.people_of_account(db(), g.account)
    return {
        "view": view,
        "page": page,
        "people_by_id": {person.id: person for person in people},
        "nav": "contacts",
    }


@blueprint.get("")
def index(account: str) -> Response:
    """A search gets the rows only and puts itself, without empty parts, into the address bar."""
    view = View.asked()
    values = _list_values(view)
    if htmx.is_htmx():
        answer = make_response(render_template("contacts/_list.html", **values))
        if not request.headers.get("HX-Current-URL", "").endswith(view.url()):
            answer.headers["HX-Push-Url"] = view.url()
        return answer
    values |= {"tags": contact_tags.of_account(db()), "sorts": contact_list.SORTS}
    return make_response(render_template("contacts/index.html", **values))


@blueprint.get("/tags")
@htmx.piece_of("contacts.index")
def tags(account: str) -> str:
    """Options for inputs that take a tag."""
    return render_template("contacts/_tag_options.html", tags=contact_tags.of_account(db()))


@blueprint.post("/bulk")
def bulk(account: str) -> Response:
    """The chosen rows: a tag more, a tag less, or gone."""
    ids = [found for text in request.form.getlist("ids") if (found := parse_id(text))]
    action = request.form.get("action", "")
    tag = request.form.get("bulk_tag", "")
    kind, text = "success", ""
    undo: dict[str, str] = {}
    try:
        if action == "delete":
            chosen = contacts.chosen(db(), ids, lock=False)
            contacts.delete(db(), actor(), chosen)
            text, undo = _deleted(chosen)
        elif action in ("add_tag", "remove_tag"):
            text = _retag(contacts.chosen(db(), ids), tag, adds=action == "add_tag")
        db().commit()
    except Invalid as error:
        db().rollback()
        kind, text = "warning", " ".join(error.fields.values())
    return _list_again(kind, text, undo)


def _retag(chosen: Sequence[Contact], tag: str, *, adds: bool) -> str:
    if adds:
        spelt = contact_tags.add(db(), chosen, tag)
        return f"{_count(chosen)} now tagged {spelt}"
    if not tag.strip():
        raise Invalid({"tags": "Type a tag."})
    held = contact_tags.remove(db(), chosen, tag)
    return f"Tag {tag.strip()} removed from {held}" if held else f"None of them was tagged {tag.strip()}"


def _deleted(chosen: Sequence[Contact]) -> tuple[str, dict[str, str]]:
    text = f"{_count(chosen)} deleted"
    return text, {"ids": ",".join(str(contact.id) for contact in chosen)} if chosen else {}


def _count(chosen: Sequence[Contact]) -> str:
    return chosen[0].display_name if len(chosen) == 1 else f"{len(chosen)} contacts"


def _list_again(kind: str, text: str, undo: dict[str, str]) -> Response:
    view = View.asked()
    undo_url = url_for("contacts.restore", account=g.account.slug) if undo else ""
    if not htmx.is_htmx():
        notices.say(text, kind, undo_url=undo_url, undo_fields=undo)
        return htmx.go_to(view.url())
    values = _list_values(view)
    toast = {"kind": kind, "text": text, "undo_url": undo_url, "undo_fields": undo}
    return make_response(render_template("contacts/_list.html", toast=toast, **values))


@blueprint.post("/restore")
def restore(account: str) -> Response:
    """Undo of a deletion."""
    ids = [found for text in request.form.get("ids", "").split(",") if (found := parse_id(text))]
    back = contacts.restore(db(), actor(), ids)
    db().commit()
    text = f"{_count(back)} restored" if back else "Nothing to restore"
    if htmx.is_htmx():
        answer = make_response(
            render_template("contacts/_toast.html", toast={"kind": "success", "text": text})
        )
        return htmx.trigger(answer, "contacts-changed")
    notices.say(text)
    if len(back) == 1:
        return htmx.go_to(url_for("contact.show", account=account, contact_id=back[0].id))
    return htmx.go_to(url_for("contacts.index", account=account))


class NewContact(Form):
    first_name = StringField("First name", [Length(max=100)])
    last_name = StringField("Last name", [Length(max=100)])
    company = StringField("Company", [Length(max=150)])
    phone = StringField("Phone")
    email = StringField("E-mail")
    tags = StringField("Tags", description="Several with commas between them.")
    # Choices are judged by the domain, for all ways in alike.
    owner_id = SelectField("Owner", validate_choice=False)
    source = StringField("Source", [Length(max=100)], description="Where this contact came from.")
    notes = TextAreaField("Notes", [Length(max=10_000)])


def _new_form(people: Sequence[User], fields: Sequence[CustomField]) -> NewContact:
    """The form with the account's own fields behind the common ones."""
    own = {f"custom.{field.key}": _input(field) for field in fields}
    made = type("NewContactHere", (NewContact,), own)
    form: NewContact = made(sent() if request.method == "POST" else request.args)
    form.owner_id.choices = _choices("Nobody", [(str(person.id), person.name) for person in people])
    return form


def _choices(nothing: str, options: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Texts by value, as WTForms 3.3 wants them."""
    return {"": nothing, **dict(options)}


def _input(field: CustomField) -> Field:
    if field.kind == "choice":
        return SelectField(
            field.label, choices=_choices("–", [(one, one) for one in field.options]), validate_choice=False
        )
    if field.kind == "yes_no":
        return SelectField(
            field.label, choices=_choices("–", [("yes", "Yes"), ("no", "No")]), validate_choice=False
        )
    return StringField(field.label)


@blueprint.route("/new", methods=["GET", "POST"])
def new(account: str) -> Response:
    people = access.people_of_account(db(), g.account)
    fields = custom_fields.of_account(db())
    form = _new_form(people, fields)
    if request.method == "POST" and form.validate():
        try:
            made = _create(form, fields)
            db().commit()
            notices.say(f"{made.display_name} added")
            return htmx.go_to(url_for("contact.show", account=account, contact_id=made.id))
        except contact_points.Taken as error:
            db().rollback()
            form.show(Invalid({error.field: taken_words(error)}))
        except Invalid as error:
            db().rollback()
            form.show(error)
    values = {"form": form, "fields": fields, "tags": contact_tags.of_account(db()), "nav": "contacts"}
    return make_response(
        render_template("contacts/new.html", **values), 422 if request.method == "POST" else 200
    )


def _create(form: NewContact, fields: Sequence[CustomField]) -> Contact:
    typed = request.form
    return contacts.create(
        db(),
        g.account,
        first_name=form.first_name.data or "",
        last_name=form.last_name.data or "",
        company=form.company.data or "",
        phones=[form.phone.data or ""],
        emails=[form.email.data or ""],
        tags=(form.tags.data or "").split(","),
        custom={field.key: typed.get(f"custom.{field.key}", "") for field in fields},
        owner_id=form.owner_id.data,
        source=form.source.data or "",
        notes=form.notes.data or "",
    )


def taken_words(error: contact_points.Taken) -> Markup:
    """The sentence with a way to the contact whose number it is, or a way to bring a deleted one back."""
    holder = error.holder
    what = "number" if error.field == "phone" else "address"
    if holder.is_deleted:
        url = url_for("contacts.deleted", account=g.account.slug, contact_id=holder.contact_id)
        return Markup(
            'This {} belongs to {}, who was deleted. <a href="{}">Bring the contact back</a>'
        ).format(what, holder.name, url)
    url = url_for("contact.show", account=g.account.slug, contact_id=holder.contact_id)
    return Markup('This {} belongs to <a href="{}">{}</a>.').format(what, url, holder.name)


@blueprint.get("/<uuid:contact_id>/deleted")
def deleted(account: str, contact_id: uuid.UUID) -> str:
    """Asks whether a deleted contact shall come back."""
    contact = contacts.get_deleted(db(), contact_id)
    return render_template("contacts/deleted.html", contact=contact, nav="contacts")
