"""The page behind a reconnect link: for somebody at the client's who has no sign-in here, mostly on a phone.

It says who asks, for what, and leads to the provider. Opening it uses nothing up, since mail scanners open links as well.
"""

from flask import Blueprint, current_app, make_response, render_template, request, session
from limits import RateLimitItemPerMinute
from werkzeug.wrappers import Response

from app.core.clock import now
from app.core.errors import Permanent
from app.core.request_scope import db
from app.core.security import public
from app.core.throttle import Throttle
from app.domain import connect_links
from app.domain.connect_links import Opened
from app.integrations import consent
from app.web.context import Words
from app.web.oauth import LINK_TOKEN, THANKS, browser_secret, moving_on, provider_of

blueprint = Blueprint("reconnect", __name__, url_prefix="/reconnect")

BY_ADDRESS = RateLimitItemPerMinute(30, 15, namespace="reconnect")


@blueprint.get("/thanks")
@public
def thanks() -> Response | str:
    done = session.get(THANKS)
    return render_template("connections/thanks.html", done=done) if done else _stale()


@blueprint.get("/<token>")
@public
def show(token: str) -> Response | str:
    found = _open(token)
    if found is None:
        return _stale()
    if found.link.opened_at is None:
        found.link.opened_at = now()
        db().commit()
    return _page(found)


@blueprint.post("/<token>")
@public
def go(token: str) -> Response | str:
    found = _open(token)
    if found is None:
        return _stale()
    provider = provider_of(found.connection.provider)
    try:
        url = consent.begin(
            db(),
            found.account,
            provider,
            found.connection.features,
            browser=browser_secret(),
            connection=found.connection,
            link=found.link,
        )
    except Permanent as wrong:
        db().rollback()
        return make_response(_page(found, wrong.sentence), 422)
    session[LINK_TOKEN] = token
    return moving_on(provider, url)


def _open(token: str) -> Opened | None:
    throttle: Throttle = current_app.extensions["throttle"]
    if not throttle.take(BY_ADDRESS, request.remote_addr or ""):
        return None
    return connect_links.open_link(db(), token)


def _page(found: Opened, problem: str = "") -> str:
    provider = provider_of(found.connection.provider)
    wanted = [feature for feature in provider.features if feature.key in found.connection.features]
    return render_template(
        "connections/reconnect_link.html",
        link=found.link,
        business=found.account,
        connection=found.connection,
        provider=provider,
        features=wanted,
        problem=problem,
        words=Words(found.account),
    )


def _stale() -> Response:
    return make_response(render_template("connections/stale_link.html"), 404)
