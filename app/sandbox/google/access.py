"""What every view needs: the world, who calls with which token, and whether its scopes are enough."""

from dataclasses import dataclass
from typing import cast

from flask import current_app, g, request

from app.sandbox.google.errors import Refused
from app.sandbox.google.records import Account
from app.sandbox.google.tokens import Codes, is_alive
from app.sandbox.google.world import GoogleWorld
from app.sandbox.state import simulator

AUTH = "https://www.googleapis.com/auth/"
EMAIL, PROFILE = f"{AUTH}userinfo.email", f"{AUTH}userinfo.profile"

# Which scopes open which calls, as the discovery document of Calendar v3 lists them. One of them is enough.
WRITE_EVENTS = ("calendar", "calendar.events", "calendar.events.owned", "calendar.app.created")
READ_EVENTS = (
    *WRITE_EVENTS,
    "calendar.readonly",
    "calendar.events.readonly",
    "calendar.events.owned.readonly",
    "calendar.events.freebusy",
)
READ_LIST = ("calendar", "calendar.readonly", "calendar.calendarlist", "calendar.calendarlist.readonly")
FREE_BUSY = ("calendar", "calendar.readonly", "calendar.freebusy", "calendar.events.freebusy")
READ_CALENDAR = (*READ_LIST, "calendar.calendars", "calendar.calendars.readonly", "calendar.app.created")
STOP_CHANNEL = (*READ_EVENTS, *READ_LIST)


@dataclass(frozen=True)
class Caller:
    account: Account
    client_id: str
    scopes: frozenset[str]


def world() -> GoogleWorld:
    return cast(GoogleWorld, current_app.extensions["google_world"])


def codes() -> Codes:
    return cast(Codes, current_app.extensions["google_codes"])


def public_url() -> str:
    """How this process is reached, for links to its own pages."""
    return simulator().public_url or request.host_url.rstrip("/")


def bearer() -> str:
    login = request.authorization
    return login.token or "" if login is not None and login.type == "bearer" else ""


def sign_in(allowed: tuple[str, ...] = ()) -> Caller:
    """Who calls. Raises Refused: 401 for a token that is no more, 403 where no scope of `allowed` was granted."""
    token = world().tokens.get(bearer())
    if token is None or token.kind != "access" or not is_alive(token):
        raise Refused(401, "authError", "Invalid Credentials")
    account = world().accounts[token.email]
    g.caller_name = account.email
    if allowed and not {AUTH + name for name in allowed} & set(token.scopes):
        raise Refused(403, "insufficientPermissions", "Request had insufficient authentication scopes.")
    return Caller(account, token.client_id, frozenset(token.scopes))
