"""What allows, holds or refuses a text, one small function per rule, each leaving a step in the trace.

A step is {step, outcome, text, next, at}; outcomes are ok, info, hold and refuse. The rules are asked in this order when
a text is queued; those that time can change (consent, connection, quiet hours) are asked again when it is claimed.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.core import formats
from app.core.clock import now
from app.core.ids import new_id
from app.domain import consent
from app.domain.sending import kinds, prices, quiet
from app.models.account import Account
from app.models.connection import Connection, Sender
from app.models.consent import ConsentEntry
from app.models.contact import Contact
from app.models.conversation import Conversation
from app.models.usage import DailyUsage

OPTED_OUT_NEXT = "They can opt in again by texting START to your number."


@dataclass
class Verdict:
    """What the rules said so far. `hold_until` is the latest time any of them asked for; `waiting_for_person` holds
    without a time."""

    trace: list[dict[str, Any]] = field(default_factory=list)
    refused: str = ""
    hold_until: datetime | None = None
    waits: bool = False

    def add(self, step: str, outcome: str, text: str, next_step: str = "") -> None:
        self.trace.append(
            {"step": step, "outcome": outcome, "text": text, "next": next_step, "at": now().isoformat()}
        )

    def hold(self, step: str, text: str, until: datetime, next_step: str = "") -> None:
        self.add(step, "hold", text, next_step)
        self.hold_until = max(self.hold_until or until, until)
        self.waits = True

    def refuse(self, step: str, text: str, next_step: str = "") -> None:
        self.add(step, "refuse", text, next_step)
        self.refused = self.refused or text


def ask_consent(session: Session, verdict: Verdict, account: Account, address: str) -> None:
    judge_consent(verdict, account, consent.state_of(session, address))


def judge_consent(verdict: Verdict, account: Account, entry: ConsentEntry | None) -> None:
    """What the latest word about an address means for a text to it."""
    if entry is None:
        verdict.add("consent", "info", "No opt-in and no opt-out on record for this number.")
        return
    day = formats.date(entry.at, account.zone, formats.locale_of(account.locale))
    if entry.state == "opted_out":
        said = f"“{entry.wording}”" if entry.wording else "opted out"
        verdict.refuse("consent", f"This number opted out of texts on {day} ({said}).", OPTED_OUT_NEXT)
    else:
        verdict.add("consent", "ok", f"Opted in on {day}.")


def ask_connection(verdict: Verdict, connection: Connection) -> None:
    if connection.state in ("reconnect_needed", "disconnected"):
        word = "needs to be reconnected" if connection.state == "reconnect_needed" else "is disconnected"
        verdict.add(
            "connection",
            "hold",
            f"{connection.title} {word}.",
            "Reconnect it under Settings, Connections; the text then goes by itself.",
        )
        verdict.waits = True
    else:
        verdict.add("connection", "ok", f"{connection.title} is connected.")


def ask_registration(verdict: Verdict, sender: Sender, country: str) -> None:
    """US carriers want a registered campaign (A2P 10DLC) behind local numbers."""
    if country != "US" or not sender.address.startswith("+1"):
        return
    state = sender.capabilities.get("registration")
    if state == "verified":
        verdict.add("registration", "ok", "The number is registered for business texts in the US.")
    else:
        verdict.add(
            "registration",
            "info",
            "No US registration (A2P 10DLC) is on record for this number.",
            "Carriers may block texts from unregistered numbers; register it where the number comes from.",
        )


def ask_quiet_hours(
    verdict: Verdict,
    account: Account,
    contact: Contact,
    conversation: Conversation,
    address: str,
    at: datetime,
    *,
    ignored_by: str = "",
) -> None:
    if account.quiet_from is None:
        return
    zone = quiet.contact_zone(account, contact, address)
    until = quiet.quiet_until(account, zone, at)
    if until is None:
        verdict.add(
            "quiet_hours", "ok", f"It is not quiet hours where they are ({_wall(at, account, zone)})."
        )
        return
    if ignored_by:
        verdict.add(
            "quiet_hours", "ok", f"It is quiet hours where they are; {ignored_by} chose to send anyway."
        )
    elif quiet.answers_recent_text(account, conversation.last_inbound_at, at):
        verdict.add("quiet_hours", "ok", "It is quiet hours where they are, but they wrote just now.")
    else:
        verdict.hold(
            "quiet_hours",
            f"It is {_wall(at, account, zone)} where they are: quiet hours until {_wall(until, account, zone)}.",
            until,
            "It goes by itself then; or choose Send now.",
        )


def _wall(at: datetime, account: Account, zone: ZoneInfo) -> str:
    return formats.time_of_day(at, zone, formats.locale_of(account.locale))


def ask_quota(session: Session, verdict: Verdict, account: Account, at: datetime) -> None:
    """Counts this text against the day of the account's own calendar; past the quota it waits for the next day."""
    day = at.astimezone(account.zone).date()
    count = _count_text(session, account, day)
    if count <= account.daily_message_quota:
        verdict.add("quota", "ok", f"Text {count} of {account.daily_message_quota} today.")
        return
    midnight = datetime.combine(day + timedelta(days=1), datetime.min.time(), tzinfo=account.zone)
    verdict.hold(
        "quota",
        f"Today's quota of {account.daily_message_quota} texts is used up.",
        midnight,
        "It goes tomorrow; an admin can raise the quota in the account's settings.",
    )


def _count_text(session: Session, account: Account, day: Any) -> int:
    table = DailyUsage.__table__
    statement = insert(DailyUsage).values(id=new_id(), account_id=account.id, day=day, texts_out=1)
    statement = statement.on_conflict_do_update(
        index_elements=["account_id", "day"], set_={"texts_out": table.c.texts_out + 1}
    )
    return int(session.execute(statement.returning(DailyUsage.texts_out)).scalar_one())


def ask_price(verdict: Verdict, account: Account, estimate: prices.Estimate) -> None:
    parts = estimate.segments
    size = f"{parts.segments} segment{'s' if parts.segments != 1 else ''} ({parts.encoding})"
    if estimate.micros is None:
        verdict.add("price", "info", f"{size}; no price is on record for this country.")
        return
    amount = formats.money_micros(estimate.micros, estimate.currency, formats.locale_of(account.locale))
    verdict.add("price", "ok", f"{size}, about {amount}. Source: {estimate.source}.")


def tell_rule(verdict: Verdict, account: Account, rule: kinds.Rule) -> None:
    """How long it may wait, and what happens then."""
    until = formats.date_and_time(rule.expires_at, account.zone, formats.locale_of(account.locale))
    then = "is shown here so that somebody decides" if rule.past == kinds.ASK else "is dropped and says why"
    verdict.add(
        "limit",
        "info",
        f"As {rule.kind.words} it may wait until {until}. Past that it is not sent by itself: it {then}.",
    )
