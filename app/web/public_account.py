"""Public pages of one business: its account is entered by the slug in the URL, and too many requests are turned away."""

from flask import Response, abort, current_app, g, request
from limits import RateLimitItem, parse
from sqlalchemy import String, bindparam, select

from app.core import compress
from app.core.request_scope import db
from app.core.tenancy import enter_account, entering, has_entered
from app.core.throttle import Throttle
from app.models.account import Account

# By the visitor's address. Pages are cheap and shared addresses are common; deeds are neither.
LOOKS: RateLimitItem = parse("240/minute")
DEEDS: RateLimitItem = parse("20/minute")
DEEDS_AN_HOUR: RateLimitItem = parse("90/hour")
LARGEST_FORM = 64 * 1024

FRAMED = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors *"
)


_BY_SLUG = select(Account, entering(Account.id)).where(
    Account.slug == bindparam("slug", type_=String()), Account.archived_at.is_(None)
)


def enter(slug: str) -> Account:
    """404 for a business that is not there. What templates call `business` and `words` is its."""
    found = db().execute(_BY_SLUG, {"slug": slug}).first()
    if found is None:
        abort(404)
    has_entered(db(), found.Account.id)
    return _shown(found.Account)


def entered(account: Account) -> Account:
    enter_account(db(), account.id)
    return _shown(account)


def _shown(account: Account) -> Account:
    g.business = account
    g.pop("words", None)
    return account


def limit() -> None:
    """429 for too much from one address; 413 for a form nobody can have typed."""
    throttle: Throttle = current_app.extensions["throttle"]
    who = request.remote_addr or ""
    if request.method == "POST":
        # Also holds for a body whose length is not said.
        request.max_content_length = LARGEST_FORM
        if (request.content_length or 0) > LARGEST_FORM:
            abort(413)
        if not throttle.take(DEEDS, "booking-deed", who) or not throttle.take(
            DEEDS_AN_HOUR, "booking-hour", who
        ):
            abort(429)
    elif not throttle.take(LOOKS, "booking-look", who):
        abort(429)


def finish(response: Response) -> Response:
    """A page in a frame of another site has a policy of its own; all are small on the way."""
    if request.args.get("embed") == "1" and request.endpoint in FRAMEABLE:
        response.headers["Content-Security-Policy"] = FRAMED
        response.headers.pop("Cross-Origin-Opener-Policy", None)
    return compress.gzipped(response)


# What somebody may show inside a site of their own: picking, filling in, waiting, and the word that it is done.
FRAMEABLE = {
    "booking.catalogue",
    "booking.pick",
    "booking.details",
    "booking.book",
    "booking_waitlist.ask",
    "booking_waitlist.join",
    "booking_manage.show",
}
