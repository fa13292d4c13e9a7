"""Connecting by consent: the page that says what is asked and why, the way to the provider, and the way back.

Any member may connect an account of their own; others' are for admins. The way out is a page that moves on by itself instead
of a redirect: browsers hold the redirect after a form to the policy of the page, which lets forms go to this site alone.
"""

import secrets
import uuid

from flask import Blueprint, flash, g, make_response, render_template, request, session
from flask_login import current_user
from werkzeug.wrappers import Response

from app.core import htmx
from app.core.actor import Actor
from app.core.errors import Forbidden, NotFound, Permanent
from app.core.request_scope import db
from app.core.security import public
from app.domain import access, connections, consents
from app.domain.consents import ConsentFailed, Outcome
from app.integrations import consent, registry
from app.integrations.oauth import OAuthProvider
from app.models.account import Account
from app.models.agency import Agency
from app.models.connection import Connection
from app.models.oauth import OAuthAttempt
from app.models.user import User

blueprint = Blueprint("oauth", __name__)

BROWSER = "oauth_browser"
LINK_TOKEN = "reconnect_token"
THANKS = "reconnect_thanks"


def provider_of(key: str) -> OAuthProvider:
    try:
        return registry.oauth_provider(key)
    except LookupError:
        raise NotFound from None


def browser_secret() -> str:
    """Of this browser; the answer of a provider must come back to the one that left."""
    if BROWSER not in session:
        session[BROWSER] = secrets.token_urlsafe(24)
    return str(session[BROWSER])


def may_mend(connection: Connection) -> bool:
    return bool(g.access.can_admin) or connection.user_id == current_user.id


def _own(connection_id: uuid.UUID, provider: OAuthProvider) -> Connection:
    found = connections.connection_of(db(), g.account.id, connection_id)
    if found.provider != provider.key:
        raise NotFound
    if not may_mend(found):
        raise Forbidden("This is somebody else's account. They or an admin can connect it again.")
    return found


@blueprint.get("/a/<account>/connect/<provider>")
def ask(account: str, provider: str) -> str:
    return _page(provider_of(provider))


@blueprint.post("/a/<account>/connect/<provider>")
def go(account: str, provider: str) -> Response:
    return _leave(provider_of(provider))


@blueprint.get("/a/<account>/connect/<provider>/<uuid:connection_id>")
def ask_again(account: str, provider: str, connection_id: uuid.UUID) -> str:
    found = provider_of(provider)
    return _page(found, _own(connection_id, found))


@blueprint.post("/a/<account>/connect/<provider>/<uuid:connection_id>")
def go_again(account: str, provider: str, connection_id: uuid.UUID) -> Response:
    found = provider_of(provider)
    return _leave(found, _own(connection_id, found))


def _page(provider: OAuthProvider, connection: Connection | None = None) -> str:
    """What is on already is asked for again; more is asked for when somebody turns it on."""
    on = set(connection.features if connection else ()) | {request.args.get("feature", "calendar")}
    return render_template(
        "connections/consent.html",
        nav="connections" if g.access.can_admin else "linked-calendars",
        provider=provider,
        connection=connection,
        features=[feature for feature in provider.features if feature.key in on],
        back=_back_to(connection),
    )


def _back_to(connection: Connection | None) -> str:
    """Where one lands afterwards: the linked calendars for whoever may not see the connections."""
    home = f"/a/{g.account.slug}/settings/"
    return home + ("connections" if g.access.can_admin else "linked-calendars")


def _leave(provider: OAuthProvider, connection: Connection | None = None) -> Response:
    wanted = {feature.key for feature in provider.features} & set(request.form.getlist("feature"))
    try:
        url = consent.begin(
            db(),
            g.account,
            provider,
            wanted or {"calendar"},
            browser=browser_secret(),
            user_id=current_user.id,
            connection=connection,
            return_to=_back_to(connection),
        )
    except Permanent as wrong:
        db().rollback()
        flash(wrong.sentence, "danger")
        return htmx.go_to(request.path)
    return moving_on(provider, url)


def moving_on(provider: OAuthProvider, url: str) -> Response:
    """To the provider, with nothing of ours in the address it sees us come from."""
    page = make_response(render_template("connections/moving_on.html", provider=provider, url=url))
    page.headers["Referrer-Policy"] = "no-referrer"
    return page


@blueprint.get("/oauth/<provider>/callback")
@public
def callback(provider: str) -> Response:
    """The provider sends the browser here. Whoever it is, the state says what it belongs to."""
    found = provider_of(provider)
    try:
        attempt, verifier = consents.redeem(
            db(), found.key, request.args.get("state", ""), str(session.get(BROWSER, ""))
        )
        db().commit()
        return _finish(found, attempt, verifier)
    except ConsentFailed as failed:
        db().rollback()
        return _failed(found, failed)


def _finish(provider: OAuthProvider, attempt: OAuthAttempt, verifier: str) -> Response:
    account = db().get_one(Account, attempt.account_id)
    who = _who(attempt, account)
    error = request.args.get("error", "")
    if error:
        raise ConsentFailed(_refused(provider, error), attempt)
    code = request.args.get("code", "")
    if not code:
        raise ConsentFailed(f"{provider.name} sent no consent along. Begin once more.", attempt)
    outcome = consent.finish(db(), who, attempt, verifier, code)
    if attempt.link_id is not None:
        session[THANKS] = {
            "account": account.name,
            "name": outcome.connection.name,
            "missing": list(outcome.missing),
        }
        session.pop(LINK_TOKEN, None)
        return htmx.go_to("/reconnect/thanks")
    flash(_said(provider, outcome), "warning" if outcome.missing else "success")
    return htmx.go_to(attempt.return_to or f"/a/{account.slug}/settings/connections")


def _who(attempt: OAuthAttempt, account: Account) -> Actor:
    """Whoever began it, and still may."""
    ip = request.remote_addr or ""
    if attempt.link_id is not None:
        agency = db().get_one(Agency, account.agency_id)
        return Actor(agency.id, None, "Holder of a reconnect link", ip)
    user: User | None = current_user.user if current_user.is_authenticated else None
    if user is None or user.id != attempt.user_id:
        raise ConsentFailed("Sign in as the person who began this, then begin once more.", attempt)
    try:
        found = access.enter(db(), user, account.slug)
    except NotFound:
        raise ConsentFailed("You no longer work in that account.", None) from None
    if attempt.connection_id is not None and not found.can_admin:
        known = connections.connection_of(db(), account.id, attempt.connection_id)
        if known.user_id != user.id:
            raise ConsentFailed(
                "This is somebody else's account. They or an admin can connect it again.", attempt
            )
    return Actor(user.agency_id, user.id, user.name, ip)


def _refused(provider: OAuthProvider, error: str) -> str:
    if error == "access_denied":
        return f"Nothing was connected: access was not allowed at {provider.name}. You can begin again at any time."
    if error == "admin_policy_enforced":
        return f"The organisation that this account at {provider.name} belongs to does not allow it. Its administrator can."
    return f"{provider.name} could not ask for consent ({error[:60]}). Begin once more; if it stays, tell your agency."


def _said(provider: OAuthProvider, outcome: Outcome) -> str:
    if outcome.missing:
        return f"{outcome.connection.name} is connected, but not everything was allowed. See below."
    return (
        f"{outcome.connection.name} is connected."
        if outcome.is_new
        else f"{outcome.connection.name} is connected again."
    )


def _failed(provider: OAuthProvider, failed: ConsentFailed) -> Response:
    """The sentence, and the way to begin again as far as this person may know it."""
    attempt, again = failed.attempt, "/"
    if attempt is not None and attempt.link_id is not None and LINK_TOKEN in session:
        again = f"/reconnect/{session[LINK_TOKEN]}"
    elif attempt is not None and current_user.is_authenticated and current_user.id == attempt.user_id:
        slug = db().get_one(Account, attempt.account_id).slug
        again = f"/a/{slug}/connect/{provider.key}" + (
            f"/{attempt.connection_id}" if attempt.connection_id else ""
        )
    page = render_template(
        "connections/failed.html", provider=provider, sentence=failed.sentence, again=again
    )
    return make_response(page, 400)
