"""Each kind of send in one table: how long it may wait, what happens past that, quiet hours, and who goes first.

A rule is copied onto the text's row in the queue when it is queued, so whichever worker finds the row, of whichever
version, obeys it without knowing the kind. A text that is tied to an event (a reminder) is of no use once that has begun,
however little it waited. What happens past the time is done in expiry.py.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

ASK, DROP = "ask", "drop"
# Who goes first when texts of one number wait: what somebody waits for on the phone in hand, what people wrote, the rest.
AT_ONCE, PEOPLE, LATER = 0, 1, 2


@dataclass(frozen=True)
class SendKind:
    """`lasts` counts from when the text was to go; None is until its event. `past` is what happens to a text whose time is
    over: ASK shows it to a person, who may send it again; DROP ends it with `gone` as the reason. One whose event has begun
    is dropped in any case."""

    key: str
    words: str
    lasts: timedelta | None
    past: str
    priority: int
    quiet_hours: bool = True
    gone: str = "It waited for so long that it is no longer wanted."


@dataclass(frozen=True)
class Rule:
    """What a kind means for one text."""

    kind: SendKind
    expires_at: datetime
    past: str
    reason: str


TEXT = SendKind("text", "a text that somebody wrote", timedelta(hours=24), ASK, PEOPLE)
SCHEDULED = SendKind("scheduled", "a text that somebody planned", timedelta(hours=24), ASK, PEOPLE)
AUTO_ANSWER = SendKind(
    "auto_answer",
    "an answer of ours to STOP, START or HELP",
    timedelta(minutes=10),
    DROP,
    AT_ONCE,
    quiet_hours=False,
    gone="An answer that comes so late would only puzzle them.",
)
BOOKING_CONFIRMATION = SendKind(
    "booking_confirmation",
    "a confirmation of a booking",
    timedelta(hours=24),
    ASK,
    AT_ONCE,
    quiet_hours=False,
    gone="The appointment had begun before it could be sent.",
)
BOOKING_REMINDER = SendKind(
    "booking_reminder",
    "a reminder of an appointment",
    None,
    DROP,
    LATER,
    gone="The appointment had begun before it could be sent.",
)
TEAM_NOTICE = SendKind(
    "team_notice",
    "a notice to one of the team",
    timedelta(hours=1),
    DROP,
    LATER,
    quiet_hours=False,
    gone="What it told of was an hour old.",
)

KINDS = {
    kind.key: kind
    for kind in (TEXT, SCHEDULED, AUTO_ANSWER, BOOKING_CONFIRMATION, BOOKING_REMINDER, TEAM_NOTICE)
}


# Our own mails, by their kind; the rest may wait three days. A reset is of no use once its link has ended (mail_links.py).
MAILS_LAST = {"reset": timedelta(hours=1), "connection_alarm": timedelta(days=1)}
OTHER_MAILS_LAST = timedelta(days=3)


def rule_for(kind: SendKind, due_at: datetime, event_at: datetime | None = None) -> Rule:
    """Raises ValueError when the kind lasts until its event and there is none."""
    late = due_at + kind.lasts if kind.lasts is not None else event_at
    if late is None:
        raise ValueError(f"{kind.key} needs the moment of its event")
    if event_at is not None and event_at <= late:
        return Rule(kind, event_at, DROP, kind.gone)
    then = "Does it still fit? Then send it again." if kind.past == ASK else kind.gone
    length = span(late - due_at)
    return Rule(kind, late, kind.past, f"It could not leave within {length}. {then}")


def span(length: timedelta) -> str:
    """24 hours, 10 minutes, 7 days."""
    minutes = int(length.total_seconds() // 60)
    count, word = (minutes, "minute") if minutes < 60 else (minutes // 60, "hour")
    if count >= 48 and word == "hour":
        count, word = count // 24, "day"
    return f"{count} {word}{'s' if count != 1 else ''}"
