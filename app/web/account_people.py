"""The people of one account: who may enter and as what. For its admins."""

import uuid

from flask import Blueprint, flash, g, render_template, request
from flask_login import current_user
from werkzeug.wrappers import Response
from wtforms import EmailField, RadioField, StringField

from app.core import htmx
from app.core.errors import Forbidden, Invalid
from app.core.request_scope import actor, db
from app.domain import invitations, people
from app.web.forms import Form

blueprint = Blueprint("account_people", __name__, url_prefix="/a/<account>/settings/people")

ROLES = {
    "user": "User: answers customers and looks after contacts",
    "admin": "Admin: also sets up connections, people and this account",
}


class InviteForm(Form):
    email = EmailField("E-mail")
    name = StringField("Name")
    role = RadioField("Role", choices=ROLES, default="user")


@blueprint.get("")
def list_people(account: str) -> str:
    g.access.need_admin()
    return _page(InviteForm())


def _page(form: InviteForm) -> str:
    return render_template(
        "settings/people.html",
        nav="people",
        rows=people.of_account(db(), g.account),
        roles=people.ROLE_NAMES,
        form=form,
    )


@blueprint.post("/invite")
def invite(account: str) -> Response | tuple[str, int]:
    g.access.need_admin()
    form = InviteForm(request.form)
    if not form.validate():
        return _page(form), 422
    place = invitations.Place(g.account, form.role.data)
    try:
        user = invitations.invite(
            db(), actor(), email=form.email.data or "", name=form.name.data or "", places=[place]
        )
    except Invalid as wrong:
        db().rollback()
        form.show(wrong)
        return _page(form), 422
    db().commit()
    if user.password_hash is None:
        flash(f"An invitation is on its way to {user.email}.", "success")
    else:
        flash(f"{user.name} can open this account now.", "success")
    return htmx.go_to(f"/a/{account}/settings/people")


@blueprint.post("/<uuid:user_id>/<any(admin, user, remove, resend):deed>")
def act(account: str, user_id: uuid.UUID, deed: str) -> Response:
    g.access.need_admin()
    membership = people.membership_of(db(), g.account, user_id)
    person, by_owner = membership.user, current_user.user.agency_role == "owner"
    try:
        if deed == "resend":
            invitations.resend(db(), actor(), person)
            said = f"A new invitation is on its way to {person.email}."
        elif deed == "remove":
            people.remove_from_account(db(), actor(), membership, by_owner=by_owner)
            said = f"{person.name} can no longer open this account."
        else:
            people.change_account_role(db(), actor(), membership, deed)
            said = f"{person.name} is now {people.ROLE_NAMES[deed].lower()} of this account."
    except (Invalid, Forbidden) as wrong:
        db().rollback()
        flash(str(wrong), "error")
    else:
        db().commit()
        flash(said, "success")
    return htmx.go_to(f"/a/{account}/settings/people")
