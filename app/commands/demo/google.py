"""Connects the demo's people to their played Google accounts: through the consent screen, as a person would in a browser.

The app's half goes through the verbs that the pages use; the seed plays the person who clicks Allow.
"""

import secrets
from html.parser import HTMLParser
from urllib.parse import parse_qs, urljoin, urlsplit

import requests
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.commands.start import Trouble
from app.config import Settings
from app.core import tenancy
from app.core.actor import Actor
from app.domain import consents
from app.domain.consents import ConsentFailed
from app.integrations import calendars, consent, registry
from app.models.account import Account
from app.models.connection import Connection
from app.models.linked_calendar import LinkedCalendar
from app.models.user import User

PROVIDER = "google"


def is_played(settings: Settings) -> bool:
    """Whether Google is the simulator's here: a seed must never ask the real one."""
    return (
        settings.host("GOOGLE_ACCOUNTS_BASE_URL").startswith(settings.simulator_url)
        and PROVIDER in settings.oauth_clients
    )


def connect(session: Session, account: Account, person: User) -> None:
    """The person's calendars, connected, listed and read. Commits. Does nothing a second time."""
    known = select(Connection.id).where(
        Connection.account_id == account.id, Connection.provider == PROVIDER, Connection.user_id == person.id
    )
    if session.scalar(known) is not None:
        return
    actor = Actor(person.agency_id, person.id, person.name, "")
    browser = secrets.token_urlsafe(24)
    provider = registry.oauth_provider(PROVIDER)
    url = consent.begin(session, account, provider, {"calendar"}, browser=browser, user_id=person.id)
    answer = press_allow(url, person.email)
    try:
        attempt, verifier = consents.redeem(session, PROVIDER, answer.get("state", ""), browser)
        session.commit()
        outcome = consent.finish(session, actor, attempt, verifier, answer.get("code", ""))
    except ConsentFailed as failed:
        raise Trouble(f"{person.email} could not be connected: {failed.sentence}") from failed
    _read(account, outcome.connection)


def _read(account: Account, connection: Connection) -> None:
    """At once, so that the first bookings keep clear of what stands in the calendars."""
    calendars.list_calendars(connection.id)
    with tenancy.session_for(account.id) as session:
        mine = select(LinkedCalendar.id).where(
            LinkedCalendar.connection_id == connection.id, LinkedCalendar.checks_conflicts
        )
        found = list(session.scalars(mine))
    for linked_id in found:
        calendars.look(linked_id)


def press_allow(url: str, email: str) -> dict[str, str]:
    """What comes back in the address after somebody with this account allowed everything. Raises Trouble."""
    browser = requests.Session()
    browser.trust_env = False
    try:
        page = browser.get(url, timeout=10)
        page.raise_for_status()
        form = _Form()
        form.feed(page.text)
        fields = [*form.fields, ("account", email), ("answer", "allow")]
        sent = browser.post(urljoin(url, form.action), data=fields, timeout=10, allow_redirects=False)
        sent.raise_for_status()
    except requests.RequestException as error:
        raise Trouble(f"The simulator's consent screen did not work: {error}") from error
    back = urlsplit(sent.headers.get("Location", ""))
    return {name: values[0] for name, values in parse_qs(back.query).items()}


class _Form(HTMLParser):
    """The form of the consent screen with what is ticked in it, but for the choice of the account."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form":
            self.action = found.get("action") or ""
        name, kind = found.get("name") or "", found.get("type")
        if tag == "input" and (kind == "hidden" or (kind == "checkbox" and "checked" in found)):
            self.fields.append((name, found.get("value") or ""))
