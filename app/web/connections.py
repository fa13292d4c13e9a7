"""Settings, Connections: what this account sends and receives with, each with its state, its steps and its numbers.

For admins of the account. The deeds that call the provider are in app/integrations/connect.py and commit themselves; the
answer to each is the card again, or the whole page when the frame's banner changes with it.
"""

import uuid
from typing import Any

from flask import Blueprint, flash, g, make_response, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response
from wtforms import PasswordField, StringField
from wtforms.widgets import PasswordInput

from app.core import htmx
from app.core.errors import Forbidden, Invalid, NeedsReconnect, NotFound, ProviderError
from app.core.request_scope import actor, db
from app.domain import connect_links, connection_numbers, connections, invitations
from app.integrations import connect, consent, registry
from app.integrations.standing import scopes_in_words, standings
from app.integrations.twilio import credentials as twilio
from app.models.connection import Connection
from app.models.user import User
from app.web.forms import Form, sent

blueprint = Blueprint("connections", __name__, url_prefix="/a/<account>/settings/connections")

STEPS = {
    "credentials": "Credentials",
    "address": "Our public address",
    "numbers": "Numbers",
    "webhooks": "Incoming texts",
}


class TwilioForm(Form):
    """Secrets are shown again (as dots) after a mistake in another field, so that nobody has to look them up twice."""

    account_sid = StringField("Account SID")
    auth_token = PasswordField("Auth token", widget=PasswordInput(hide_value=False))
    api_key_sid = StringField("API key SID")
    api_key_secret = PasswordField("API key secret", widget=PasswordInput(hide_value=False))
    service_ref = StringField("Messaging service SID")

    def read(self) -> tuple[dict[str, str], str | None]:
        return twilio.read({name: field.data or "" for name, field in self._fields.items()})


@blueprint.before_request
def _admins_only() -> None:
    # Whose own account it is may connect it again; the view asks.
    if request.endpoint != "connections.reconnect_form":
        g.access.need_admin()


def _home() -> str:
    return url_for("connections.index", account=g.account.slug)


def _own(connection_id: uuid.UUID) -> Connection:
    return connections.connection_of(db(), g.account.id, connection_id)


def _typed(connection_id: uuid.UUID) -> Connection:
    """One with typed credentials."""
    found = _own(connection_id)
    if found.is_oauth:
        raise NotFound
    return found


@blueprint.get("")
def index(account: str) -> str:
    listed = connections.connections_of(db(), g.account.id)
    return render_template(
        "connections/index.html", nav="connections", connections=listed, **_card_values(listed)
    )


def _card_values(listed: list[Connection]) -> dict[str, Any]:
    """What cards show beside the rows themselves."""
    consented = [connection for connection in listed if connection.is_oauth]
    people = {connection.user_id for connection in consented if connection.user_id}
    return {
        "shared": connections.shared_ids(db(), g.account.id),
        "steps": STEPS,
        "lost": connections.LOST,
        "standing": standings(listed),
        "allowed": {connection.id: scopes_in_words(connection) for connection in consented},
        "links": connect_links.waiting(db(), [connection.id for connection in consented]),
        "send_to": connect_links.addresses_for(db(), consented),
        "owners": dict(db().execute(select(User.id, User.name).where(User.id.in_(people))).all()),
        "providers": registry.OAUTH_PROVIDERS,
    }


@blueprint.get("/new")
def new(account: str) -> str:
    return render_template("connections/new.html", nav="connections", form=TwilioForm())


@blueprint.post("/new")
def create(account: str) -> Response:
    form = TwilioForm(sent())
    try:
        given, service_ref = form.read()
        made = connect.connect(db(), actor(), g.account, "twilio", given, service_ref)
    except (Invalid, ProviderError) as wrong:
        return _form_again("connections/new.html", form, wrong)
    _say_how_it_went(made, "Twilio is connected.")
    return htmx.go_to(_home())


@blueprint.get("/<uuid:connection_id>/reconnect")
def reconnect_form(account: str, connection_id: uuid.UUID) -> Response | str:
    found = _own(connection_id)
    if found.is_oauth:
        return htmx.go_to(
            url_for("oauth.ask_again", account=account, provider=found.provider, connection_id=found.id)
        )
    g.access.need_admin()
    form = TwilioForm(
        data={
            "account_sid": found.external_ref,
            "api_key_sid": connections.credentials_if_readable(found).get("api_key_sid", ""),
            "service_ref": found.settings.get("service_ref") or "",
        }
    )
    return render_template("connections/reconnect.html", nav="connections", form=form, connection=found)


@blueprint.post("/<uuid:connection_id>/reconnect")
def reconnect(account: str, connection_id: uuid.UUID) -> Response:
    found = _typed(connection_id)
    form = TwilioForm(sent())
    try:
        given, service_ref = form.read()
        made = connect.reconnect(db(), actor(), found, given, service_ref)
    except (Invalid, ProviderError) as wrong:
        return _form_again("connections/reconnect.html", form, wrong, connection=_own(connection_id))
    _say_how_it_went(made, "Twilio is connected again. Waiting texts are on their way.")
    return htmx.go_to(_home())


def _form_again(
    template: str, form: TwilioForm, wrong: Invalid | ProviderError, connection: Connection | None = None
) -> Response:
    db().rollback()
    if isinstance(wrong, ProviderError):
        field = ""
        if isinstance(wrong, NeedsReconnect):
            field = (
                "api_key_secret" if form.api_key_sid.data and "API key" in wrong.sentence else "auth_token"
            )
        wrong = Invalid({field: _for_the_form(wrong)})
    form.show(wrong)
    page = render_template(template, nav="connections", form=form, connection=connection)
    return make_response(page, 422)


def _for_the_form(error: ProviderError) -> str:
    if error.code == "20003" and "API key" not in error.sentence:
        return "Twilio does not accept this Account SID and auth token together. Copy both again from the console."
    return error.sentence


def _say_how_it_went(made: Connection, words: str) -> None:
    if made.state == "connected":
        flash(words, "success")
    else:
        flash("Twilio is connected, but not every step worked. See below.", "warning")


@blueprint.post("/<uuid:connection_id>/test")
def test(account: str, connection_id: uuid.UUID) -> Response:
    found = _own(connection_id)
    before = found.state
    deed = consent.test if found.is_oauth else connect.test
    return _card(deed(db(), actor(), found), before, "Tested: all is well.")


@blueprint.post("/<uuid:connection_id>/set-up")
def set_up(account: str, connection_id: uuid.UUID) -> Response:
    found = _typed(connection_id)
    _must_be_connected(found)
    before = found.state
    return _card(connect.run(db(), found, mend=True), before, "Set up.")


@blueprint.post("/<uuid:connection_id>/disconnect")
def disconnect(account: str, connection_id: uuid.UUID) -> Response:
    found = _own(connection_id)
    if found.is_oauth:
        consent.disconnect(db(), actor(), found)
        flash(f"{found.title} is disconnected. Its settings stay for a later reconnect.", "success")
    else:
        connect.disconnect(db(), actor(), found)
        flash("Twilio is disconnected. Conversations stay; texts that wait are held.", "success")
    return htmx.go_to(_home())


@blueprint.post("/<uuid:connection_id>/link")
def make_link(account: str, connection_id: uuid.UUID) -> Response | str:
    """Shown once, since only its hash is kept; mailed as well when an address was given."""
    found = _own(connection_id)
    address = str(sent().get("send_to", "")).strip()
    try:
        url = connect_links.make(
            db(), actor(), found, send_to=invitations.checked_email(address) if address else ""
        )
    except Invalid as wrong:
        db().rollback()
        flash(str(wrong), "danger")
        return htmx.go_to(_home())
    db().commit()
    return render_template(
        "connections/link_made.html", nav="connections", connection=found, url=url, sent_to=address
    )


@blueprint.post("/<uuid:connection_id>/link/take-back")
def take_link_back(account: str, connection_id: uuid.UUID) -> Response:
    connect_links.take_back(db(), actor(), _own(connection_id))
    db().commit()
    flash("The link no longer works.", "success")
    return htmx.go_to(_home())


@blueprint.post("/numbers/<uuid:sender_id>/default")
def make_default(account: str, sender_id: uuid.UUID) -> Response:
    sender = connection_numbers.sender_of(db(), g.account.id, sender_id)
    connection_numbers.make_default(db(), actor(), sender)
    db().commit()
    flash(f"Texts leave from {sender.address} unless another number is chosen.", "success")
    return htmx.go_to(_home())


@blueprint.post("/numbers/<uuid:sender_id>/pace")
def set_pace(account: str, sender_id: uuid.UUID) -> Response:
    sender = connection_numbers.sender_of(db(), g.account.id, sender_id)
    typed = str(sent().get("per_second", ""))
    problem = ""
    try:
        connection_numbers.set_pace(db(), actor(), sender, typed)
    except Invalid as wrong:
        db().rollback()
        problem = wrong.fields["per_second"]
    else:
        db().commit()
    if not htmx.is_htmx():
        flash(problem or "Saved.", "danger" if problem else "success")
        return htmx.go_to(_home())
    page = render_template("connections/_pace.html", sender=sender, problem=problem, typed=typed)
    answer = make_response(page, 422 if problem else 200)
    return answer if problem else htmx.toast(answer, "Saved.")


@blueprint.post("/numbers/<uuid:sender_id>/take")
def take(account: str, sender_id: uuid.UUID) -> Response:
    sender = connection_numbers.sender_of(db(), g.account.id, sender_id)
    _must_be_connected(sender.connection)
    before = sender.connection.state
    return _card(
        connect.take_number(db(), actor(), g.account.id, sender_id), before, "The number belongs here now."
    )


def _must_be_connected(connection: Connection) -> None:
    if connection.state == "disconnected":
        raise Forbidden("This connection was disconnected. Reconnect it first.")


def _why_not(connection: Connection) -> str:
    """The card tells the whole of it."""
    if connection.is_oauth and connection.state in connections.LOST:
        return f"{connection.provider_name} refuses our access. The card says why."
    return connection.last_error or "Not every step worked."


def _card(connection: Connection, before: str, words: str) -> Response:
    """The card anew; the whole page when the state changed, since banners depend on it."""
    well = connection.state in ("connected", "pending_review")
    if not htmx.is_htmx() or connection.state != before:
        flash(
            words if well else _why_not(connection),
            "success" if well else "warning",
        )
        return htmx.go_to(_home())
    own = _own(connection.id)
    answer = make_response(
        render_template(
            "connections/_consent_card.html" if connection.is_oauth else "connections/_card.html",
            connection=own,
            opened=True,
            **_card_values([own]),
        )
    )
    return htmx.toast(
        answer, words if well else "Not every step worked.", kind="success" if well else "warning"
    )
