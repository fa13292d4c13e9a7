"""The times people mean by "later": for snoozing a conversation and for sending a text, in the account's zone."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from app.core.clock import now
from app.core.errors import Invalid

MORNING = time(9)
EVENING = time(18)
FURTHEST = timedelta(days=365)


@dataclass(frozen=True)
class Preset:
    key: str
    label: str
    at: datetime


def presets(zone: ZoneInfo) -> list[Preset]:
    """Later today (this evening, or in three hours when evening is near or past), tomorrow and next Monday at nine."""
    local = now().astimezone(zone)
    today = local.date()
    evening = datetime.combine(today, EVENING, zone)
    later = evening if evening - local > timedelta(hours=2) else local + timedelta(hours=3)
    tomorrow = datetime.combine(today + timedelta(days=1), MORNING, zone)
    to_monday = timedelta(days=(7 - today.weekday()) or 7)
    monday = datetime.combine(today + to_monday, MORNING, zone)
    return [
        Preset("later", "Later today" if later.date() == today else "In three hours", later.astimezone(UTC)),
        Preset("tomorrow", "Tomorrow morning", tomorrow.astimezone(UTC)),
        Preset("monday", "Next Monday", monday.astimezone(UTC)),
    ]


def read_time(choice: str, custom: str, zone: ZoneInfo) -> datetime:
    """The moment of a preset's key or of a date and time typed as local time. Raises Invalid for field `at`."""
    for preset in presets(zone):
        if preset.key == choice:
            return preset.at
    try:
        typed = datetime.fromisoformat(custom)
        at = (typed if typed.tzinfo else typed.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid({"at": "Choose a date and a time."}) from None
    if at <= now():
        raise Invalid({"at": "That time has passed. Choose a later one."})
    if at - now() > FURTHEST:
        raise Invalid({"at": "That is more than a year away. Choose an earlier time."})
    return at
