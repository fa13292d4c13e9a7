"""Quiet hours: wall time where the contact is, so they move with daylight saving and stay right across it."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from app.domain.phones import zone_of
from app.models.account import Account
from app.models.contact import Contact


def contact_zone(account: Account, contact: Contact, address: str) -> ZoneInfo:
    """The contact's own zone, else the one its number belongs to, else the account's."""
    return ZoneInfo(contact.timezone or zone_of(address) or account.timezone)


def is_quiet(wall: time, begin: time, end: time) -> bool:
    if begin <= end:
        return begin <= wall < end
    return wall >= begin or wall < end


def quiet_until(account: Account, zone: ZoneInfo, at: datetime) -> datetime | None:
    """When quiet hours that hold at `at` end, in UTC; None when it is not quiet then."""
    if account.quiet_from is None or account.quiet_until is None or account.quiet_from == account.quiet_until:
        return None
    local = at.astimezone(zone)
    if not is_quiet(local.time().replace(tzinfo=None), account.quiet_from, account.quiet_until):
        return None
    day = local.date()
    if local.time().replace(tzinfo=None) >= account.quiet_until:
        day += timedelta(days=1)
    return datetime.combine(day, account.quiet_until, tzinfo=zone).astimezone(UTC)


def quiet_since(account: Account, zone: ZoneInfo, at: datetime) -> datetime | None:
    """When quiet hours that hold at `at` began, in UTC; None when it is not quiet then."""
    if account.quiet_from is None or quiet_until(account, zone, at) is None:
        return None
    local = at.astimezone(zone)
    day = local.date()
    if local.time().replace(tzinfo=None) < account.quiet_from:
        day -= timedelta(days=1)
    return datetime.combine(day, account.quiet_from, tzinfo=zone).astimezone(UTC)


def answers_recent_text(account: Account, last_inbound_at: datetime | None, at: datetime) -> bool:
    """They wrote just now, so they are awake: an answer is not held."""
    if last_inbound_at is None or account.quiet_reply_minutes == 0:
        return False
    return at - last_inbound_at <= timedelta(minutes=account.quiet_reply_minutes)
