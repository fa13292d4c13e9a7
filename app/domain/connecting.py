"""Setting up a connection: asking the provider, then writing down what it said.

A provider is never called inside a transaction, so each deed comes in two halves. `survey` and `withdraw` call the provider
and touch no table; `create`, `renew`, `record` and `disconnect` write rows and call nobody. app/integrations/connect.py puts
the halves together. A survey can be run again at any time: it finds what is done already and goes on from there.
"""

import time
import uuid
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from app.core import runtime
from app.core.actor import Actor
from app.core.clock import now
from app.core.errors import Invalid, NeedsReconnect, ProviderError
from app.domain import audit, connection_numbers, connections
from app.domain.sending import queue
from app.models.account import Account
from app.models.connection import Connection, Sender

AT_ONCE = 6
# A page waits for this; what is not done by then is done by "Run again".
LONGEST_S = 12.0
OLD_TOKEN_LASTS = timedelta(days=1)
NOT_YET = "Its texts do not come here yet."
CHANNEL = "sms"
TEXTING = ("sms", "mms")

Points = Literal["here", "sibling", "away", "nowhere"]


@dataclass(frozen=True)
class AccountFacts:
    """`status` is active, or the provider's word for why it is not; `note` is worth showing."""

    ref: str
    name: str
    status: str = "active"
    note: str = ""


@dataclass(frozen=True)
class NumberFacts:
    """`points`: where texts to it go: here, to a sibling (another connection of this installation), away, nowhere.
    `hint` is what a person should know about the number although all is set."""

    ref: str
    address: str
    name: str
    capabilities: Mapping[str, bool]
    points: Points
    service_ref: str | None = None
    hint: str = ""

    @property
    def can_text(self) -> bool:
        """A number that takes pictures takes words, whatever else is said about it."""
        return any(self.capabilities.get(kind, False) for kind in TEXTING)


class TextAccount(Protocol):
    """An account at a provider of texts; each call raises one of core.errors' ProviderError."""

    def check(self) -> AccountFacts:
        """Whether every credential works, for signed webhooks too."""
        ...

    def cannot_call_us(self) -> str:
        """Why the provider cannot reach our public address; '' when it can."""
        ...

    def numbers(self, service_ref: str | None) -> list[NumberFacts]: ...

    def point_here(self, number: NumberFacts) -> None: ...

    def point_away(self, number: NumberFacts) -> None: ...


@dataclass
class Survey:
    """What the provider said. `numbers` is None when it was not asked; `unpointed` holds why a number does not call us."""

    checks: list[dict[str, Any]] = field(default_factory=list)
    facts: AccountFacts | None = None
    numbers: list[NumberFacts] | None = None
    unpointed: dict[str, str] = field(default_factory=dict)
    refused: str = ""

    def note(self, step: str, ok: bool, text: str) -> None:
        self.checks.append({"step": step, "ok": ok, "text": text, "at": now().isoformat()})

    @property
    def trouble(self) -> str:
        """The first step that failed, in words; '' when all is well."""
        return next((str(check["text"]) for check in self.checks if not check["ok"]), "")


def survey(
    account: TextAccount,
    service_ref: str | None = None,
    *,
    mend: bool,
    take: Collection[str] = (),
    longest_s: float = LONGEST_S,
) -> Survey:
    """Four steps, each noted, the rest left out after one that fails. Without `mend` nothing is changed at the provider.
    A number that calls another account of this installation is left alone unless it is in `take`."""
    found = Survey()
    ends = time.monotonic() + longest_s
    step = "credentials"
    try:
        found.facts = account.check()
        if found.facts.status != "active":
            found.note(step, False, f"The account is {found.facts.status}: {found.facts.name}.")
            return found
        found.note(
            step, True, f"Accepted: {found.facts.name}.{' ' + found.facts.note if found.facts.note else ''}"
        )
        cannot = account.cannot_call_us()
        found.note(
            "address", not cannot, cannot or f"Texts reach us at {runtime.current().settings.public_url}."
        )
        step = "numbers"
        listed = account.numbers(service_ref)
        found.numbers = listed
        _note_numbers(found, listed)
        step = "webhooks"
        if not cannot and any(number.can_text for number in listed):
            _point_numbers(found, account, mend=mend, take=take, ends=ends)
    except NeedsReconnect as error:
        found.refused = error.sentence
        found.note(step, False, error.sentence)
    except ProviderError as error:
        found.note(step, False, error.sentence)
    return found


def _note_numbers(found: Survey, listed: list[NumberFacts]) -> None:
    texting = [number for number in listed if number.can_text]
    if not texting:
        found.note(
            "numbers", False, "No number in this account can send texts. Buy one there, then run this again."
        )
        return
    mms = sum(1 for number in texting if number.capabilities.get("mms"))
    words = f"{_count(len(texting), 'number')} can text" + (
        f", {mms} with pictures." if mms else ", none with pictures."
    )
    rest = len(listed) - len(texting)
    found.note(
        "numbers", True, words + (f" {_count(rest, 'number')} cannot and is left out." if rest else "")
    )


def _point_numbers(
    found: Survey, account: TextAccount, *, mend: bool, take: Collection[str], ends: float
) -> None:
    texting = [number for number in found.numbers or [] if number.can_text]
    for number in texting:
        if number.points == "sibling" and number.ref not in take:
            found.unpointed[number.ref] = (
                "Its texts go to another account here; a number has one address only."
            )
        elif number.points != "here":
            found.unpointed[number.ref] = NOT_YET
    siblings = {n.ref for n in texting if n.points == "sibling" and n.ref not in take}
    todo = [n for n in texting if n.ref in found.unpointed and n.ref not in siblings]
    if mend and todo:
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="set-up") as pool:
            for number, error in zip(todo, pool.map(lambda n: _point(account, n, ends), todo), strict=True):
                if error:
                    found.unpointed[number.ref] = error
                else:
                    del found.unpointed[number.ref]
    done = len(texting) - len(found.unpointed)
    words = f"Texts to {_count(done, 'number')} come here."
    failed = [n for n in todo if n.ref in found.unpointed]
    if siblings:
        words += f" Left with another account here: {_count(len(siblings), 'number')}."
    if failed:
        names = ", ".join(number.address for number in failed[:3]) + (
            " and others" if len(failed) > 3 else ""
        )
        reason = found.unpointed[failed[0].ref]
        words += f" Not yet: {names}.{'' if reason == NOT_YET else ' ' + reason}"
    found.note("webhooks", done > 0 and not failed, words)


def _point(account: TextAccount, number: NumberFacts, ends: float) -> str:
    """'' when it is done, else why not."""
    if time.monotonic() > ends:
        return "There was no time left. Run this again to go on."
    try:
        account.point_here(number)
    except ProviderError as error:
        return error.sentence
    return ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def withdraw(account: TextAccount, service_ref: str | None = None) -> str:
    """Takes our addresses back from the provider, as far as that is possible; gives a sentence when it was not."""
    try:
        for number in account.numbers(service_ref):
            if number.points == "here":
                account.point_away(number)
    except ProviderError as error:
        return f"Our address may still stand at the provider: {error.sentence}"
    return ""


# The halves that write


def create(
    session: Session,
    actor: Actor,
    account: Account,
    *,
    connection_id: uuid.UUID,
    provider: str,
    facts: AccountFacts,
    credentials: Mapping[str, str],
    service_ref: str | None,
) -> Connection:
    """A new connection, or the account's old one to the same provider account, renewed."""
    found = session.scalar(
        select(Connection).where(
            Connection.account_id == account.id,
            Connection.provider == provider,
            Connection.external_ref == facts.ref,
        )
    )
    if found is not None:
        renew(session, actor, found, facts, credentials, service_ref)
        return found
    made = Connection(
        id=connection_id,
        account_id=account.id,
        provider=provider,
        name=facts.name,
        external_ref=facts.ref,
        settings={"service_ref": service_ref} if service_ref else {},
        credentials=b"",
    )
    connections.seal_credentials(made, credentials)
    session.add(made)
    session.flush()
    audit.note(session, actor, "connection.connected", facts.name, account_id=account.id, ref=facts.ref)
    return made


def renew(
    session: Session,
    actor: Actor,
    connection: Connection,
    facts: AccountFacts,
    credentials: Mapping[str, str],
    service_ref: str | None,
) -> None:
    """New credentials for the same provider account; numbers, settings and waiting texts stay. Invalid for another."""
    if facts.ref != connection.external_ref:
        raise Invalid(
            {
                "account_sid": f"This connection is to {connection.external_ref}. "
                f"Connect {facts.ref} as a new one instead."
            }
        )
    fresh = dict(credentials)
    old = connections.credentials_if_readable(connection)
    if old.get("auth_token") and old["auth_token"] != fresh.get("auth_token"):
        fresh["previous_auth_token"] = old["auth_token"]
        fresh["previous_until"] = (now() + OLD_TOKEN_LASTS).isoformat()
    connections.seal_credentials(connection, fresh)
    connection.settings = {**connection.settings, "service_ref": service_ref}
    connection.state = "connected"
    connection.name = facts.name
    queue.wake_held(session, connection.id)
    audit.note(session, actor, "connection.reconnected", facts.name, account_id=connection.account_id)


def record(session: Session, connection_id: uuid.UUID, found: Survey) -> Connection:
    """Writes a survey down: steps, state, numbers. The row is locked, so two surveys do not mix."""
    connection = session.scalars(
        select(Connection)
        .options(selectinload(Connection.senders))
        .where(Connection.id == connection_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    connection.checks = found.checks
    if found.facts is not None:
        connection.name = found.facts.name
    trouble = found.trouble
    connection.last_error = trouble or None
    connection.last_error_at = now() if trouble else None
    if found.refused:
        connections.need_reconnect(session, connection.id, found.refused)
    elif found.facts is not None and connection.state != "disconnected":
        _works_again(session, connection, "degraded" if trouble else "connected")
    if found.numbers is not None:
        _record_numbers(connection, found)
        connection_numbers.settle_default(session, connection.account_id)
    return connection


def _works_again(session: Session, connection: Connection, state: str) -> None:
    was = connection.state
    connection.state = state
    connection.last_ok_at = now()
    if was in connections.LOST:
        queue.wake_held(session, connection.id)


def _record_numbers(connection: Connection, found: Survey) -> None:
    listed = {number.address: number for number in found.numbers or [] if number.can_text}
    known = {sender.address: sender for sender in connection.senders if sender.channel == CHANNEL}
    for address, sender in known.items():
        if address not in listed:
            sender.state = "released"
            sender.is_default = False
            sender.webhook_state, sender.webhook_error = "unset", None
    asked = any(check["step"] == "webhooks" for check in found.checks)
    for address, number in listed.items():
        known_sender = known.get(address)
        if known_sender is None:
            known_sender = Sender(account_id=connection.account_id, channel=CHANNEL, address=address)
            connection.senders.append(known_sender)
        _record_number(known_sender, number, found.unpointed.get(number.ref), asked)


def _record_number(sender: Sender, number: NumberFacts, unpointed: str | None, asked: bool) -> None:
    sender.name = number.name
    sender.provider_ref = number.ref
    sender.service_ref = number.service_ref
    # Other keys (registration) are not the provider list's to say.
    sender.capabilities = {**(sender.capabilities or {}), **number.capabilities}
    # A number that calls another account here is that account's to send from.
    elsewhere = number.points == "sibling" and unpointed is not None
    sender.state = "released" if elsewhere else "active"
    if asked:
        sender.webhook_state = "failed" if unpointed else "set"
        sender.webhook_error = unpointed or number.hint or None
    elif number.points == "here":
        sender.webhook_state, sender.webhook_error = "set", None


def disconnect(session: Session, actor: Actor, connection: Connection, trouble: str) -> None:
    """History and secrets stay: reports about texts that left before still come and must be checked. What waits is held."""
    connection.state = "disconnected"
    connection.checks = []
    connection.last_error = trouble or None
    connection.last_error_at = now() if trouble else None
    for sender in connection.senders:
        sender.webhook_state, sender.webhook_error = "unset", None
    connection_numbers.settle_default(session, connection.account_id)
    audit.note(session, actor, "connection.disconnected", connection.name, account_id=connection.account_id)
