"""Settings, Connections: what this account sends and receives with, each with its state, its steps and its numbers.

For admins of the account. The deeds that call the provider are in app/integrations/connect.py and commit themselves; the
answer to each is the card again, or the whole page when the frame's banner changes with it.
"""

import uuid

from flask import Blueprint, flash, g, make_response, render_template, url_for
from werkzeug.wrappers import Response
from wtforms import PasswordField, StringField
from wtforms.widgets import PasswordInput

from app.core import htmx
from app.core.errors import Forbidden, Invalid, NeedsReconnect, ProviderError
from app.core.request_scope import actor, db
from app.domain import connection_numbers, connections
from app.integrations import connect
from app.integrations.twilio import credentials as twilio
from app.models.connection import Connection
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
    g.access.need_admin()


def _home() -> str:
    return url_for("connections.index", account=g.account.slug)


def _own(connection_id: uuid.UUID) -> Connection:
    return connections.connection_of(db(), g.account.id, connection_id)


@blueprint.get("")
def index(account: str) -> str:
    return render_template(
        "connections/index.html",
        nav="connections",
        connections=connections.connections_of(db(), g.account.id),
        shared=connections.shared_ids(db(), g.account.id),
        steps=STEPS,
    )


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
def reconnect_form(account: str, connection_id: uuid.UUID) -> str:
    found = _own(connection_id)
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
    found = _own(connection_id)
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
    return _card(connect.test(db(), actor(), found), before, "Tested: all is well.")


@blueprint.post("/<uuid:connection_id>/set-up")
def set_up(account: str, connection_id: uuid.UUID) -> Response:
    found = _own(connection_id)
    _must_be_connected(found)
    before = found.state
    return _card(connect.run(db(), found, mend=True), before, "Set up.")


@blueprint.post("/<uuid:connection_id>/disconnect")
def disconnect(account: str, connection_id: uuid.UUID) -> Response:
    connect.disconnect(db(), actor(), _own(connection_id))
    flash("Twilio is disconnected. Conversations stay; texts that wait are held.", "success")
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


def _card(connection: Connection, before: str, words: str) -> Response:
    """The card anew; the whole page when the state changed, since banners depend on it."""
    well = connection.state == "connected"
    if not htmx.is_htmx() or connection.state != before:
        flash(
            words if well else connection.last_error or "Not every step worked.",
            "success" if well else "warning",
        )
        return htmx.go_to(_home())
    answer = make_response(
        render_template(
            "connections/_card.html",
            connection=_own(connection.id),
            shared=connections.shared_ids(db(), g.account.id),
            steps=STEPS,
            opened=True,
        )
    )
    return htmx.toast(
        answer, words if well else "Not every step worked.", kind="success" if well else "warning"
    )
