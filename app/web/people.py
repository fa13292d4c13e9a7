"""The people of the agency: owners and staff, what they may open, inviting and disabling. For owners."""

import uuid

from flask import Blueprint, flash, render_template, request
from flask_login import current_user
from sqlalchemy import func
from werkzeug.wrappers import Response
from wtforms import EmailField, RadioField, StringField

from app.core import htmx
from app.core.errors import Invalid
from app.core.ids import parse_id
from app.core.request_scope import actor, db
from app.domain import access, invitations, people
from app.models.account import Account
from app.models.user import User
from app.web.agency import need_owner
from app.web.forms import Form

blueprint = Blueprint("people", __name__, url_prefix="/agency/people")

ROLES = {
    "staff": "Staff: works in the accounts you choose and looks after their connections",
    "owner": "Owner: opens every account, makes new ones, invites the team, reads the audit log",
}


class InviteForm(Form):
    email = EmailField("E-mail")
    name = StringField("Name")
    agency_role = RadioField("Role", choices=ROLES, default="staff")


class RoleForm(Form):
    agency_role = RadioField("Role", choices=ROLES)


@blueprint.get("")
def list_people() -> str:
    need_owner()
    clients = request.args.get("show") == "clients"
    rows = people.of_agency(db(), current_user.user.agency_id, clients=clients)
    return render_template(
        "agency/people.html", nav="agency-people", rows=rows, clients=clients, roles=people.ROLE_NAMES
    )


@blueprint.route("/invite", methods=["GET", "POST"])
def invite() -> Response | str | tuple[str, int]:
    need_owner()
    if request.method == "GET":
        return _invite_page(InviteForm())
    form = InviteForm(request.form)
    if not form.validate():
        return _invite_page(form), 422
    role = form.agency_role.data
    places = [invitations.Place(a, "staff") for a in _chosen()] if role == "staff" else []
    try:
        user = invitations.invite(
            db(),
            actor(),
            email=form.email.data or "",
            name=form.name.data or "",
            agency_role=role,
            places=places,
        )
    except Invalid as wrong:
        db().rollback()
        form.show(wrong)
        return _invite_page(form), 422
    db().commit()
    flash(f"An invitation is on its way to {user.email}.", "success")
    return htmx.go_to("/agency/people")


def _invite_page(form: InviteForm) -> str:
    return render_template(
        "agency/invite.html", nav="agency-people", form=form, accounts=_accounts(), chosen=_chosen_ids()
    )


def _accounts() -> list[Account]:
    query = access.accounts_of(current_user.user).order_by(func.lower(Account.name), Account.id)
    return list(db().scalars(query))


def _chosen_ids() -> set[uuid.UUID]:
    return {found for text in request.form.getlist("accounts") if (found := parse_id(text))}


def _chosen() -> list[Account]:
    """Only accounts of this agency: ids of others fall out."""
    ids = _chosen_ids()
    return [account for account in _accounts() if account.id in ids]


def _person(user_id: uuid.UUID) -> User:
    return people.one_of_agency(db(), current_user.user.agency_id, user_id)


@blueprint.get("/<uuid:user_id>")
def show(user_id: uuid.UUID) -> str:
    need_owner()
    person = _person(user_id)
    return _person_page(person, RoleForm(data={"agency_role": person.agency_role}))


def _person_page(person: User, form: RoleForm) -> str:
    chosen = _chosen_ids() if request.method == "POST" else {m.account_id for m in person.memberships}
    return render_template(
        "agency/person.html",
        nav="agency-people",
        member=person,
        form=form,
        accounts=_accounts(),
        chosen=chosen,
        roles=people.ROLE_NAMES,
    )


@blueprint.post("/<uuid:user_id>")
def save(user_id: uuid.UUID) -> Response | tuple[str, int]:
    need_owner()
    person, form = _person(user_id), RoleForm(request.form)
    if not form.validate():
        return _person_page(person, form), 422
    try:
        people.change_agency_role(db(), actor(), person, form.agency_role.data)
        if person.agency_role == "staff":
            people.set_places(db(), actor(), person, _chosen())
    except Invalid as wrong:
        db().rollback()
        form.show(wrong)
        return _person_page(_person(user_id), form), 422
    db().commit()
    flash("Saved.", "success")
    return htmx.go_to("/agency/people" if current_user.user.agency_role == "owner" else "/")


@blueprint.post("/<uuid:user_id>/<any(disable, enable, resend, revoke):deed>")
def act(user_id: uuid.UUID, deed: str) -> Response:
    """The deeds of the menu; what cannot be done is said on the list."""
    need_owner()
    person = _person(user_id)
    clients = "?show=clients" if person.agency_role is None else ""
    verb, said = {
        "disable": (people.disable, f"{person.name} can no longer sign in."),
        "enable": (people.enable, f"{person.name} can sign in again."),
        "resend": (invitations.resend, f"A new invitation is on its way to {person.email}."),
        "revoke": (invitations.revoke, f"The invitation of {person.email} is taken back."),
    }[deed]
    try:
        verb(db(), actor(), person)
    except Invalid as wrong:
        db().rollback()
        flash(str(wrong), "error")
        return htmx.go_to(f"/agency/people{clients}")
    db().commit()
    flash(said, "success")
    return htmx.go_to(f"/agency/people{clients}")
