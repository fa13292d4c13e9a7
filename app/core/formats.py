"""Dates, money and numbers as people read them, by babel; times always show their zone."""

from datetime import date as Date
from datetime import datetime, time
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

import phonenumbers
from babel import Locale, UnknownLocaleError
from babel.dates import (
    format_date,
    format_datetime,
    format_skeleton,
    format_time,
    format_timedelta,
    get_datetime_format,
    get_timezone_name,
)
from babel.numbers import format_currency, format_decimal, get_currency_precision

from app.core.clock import now

UTC_ZONE = ZoneInfo("UTC")


def locale_of(name: str) -> Locale:
    try:
        return Locale.parse(name or "en_US")
    except (UnknownLocaleError, ValueError):
        return Locale("en", "US")


def zone_name(at: datetime, zone: ZoneInfo, locale: Locale) -> str:
    """Short name of the zone at that moment, such as EST or GMT+2."""
    name = get_timezone_name(at.astimezone(zone), width="short", locale=locale)
    # Where a language has no letters for a zone, babel gives "+0530".
    if name[:1] not in ("+", "-") or not name[1:].isdigit():
        return name
    sign, hours, rest = ("−" if name[0] == "-" else "+"), int(name[1:3]), name[3:]
    return f"GMT{sign}{hours}{f':{rest}' if rest != '00' else ''}"


@lru_cache(maxsize=4096)
def date_and_time(at: datetime, zone: ZoneInfo, locale: Locale) -> str:
    """Mar 3, 2026, 2:00 PM EST: to the minute, as people say it."""
    local = at.astimezone(zone)
    # Babel's medium style shows seconds; only the way it joins a date and a time is wanted of it.
    joined = str(get_datetime_format("medium", locale=locale)).replace("'", "")
    time_text, date_text = (
        format_time(local, "short", locale=locale),
        format_date(local, "medium", locale=locale),
    )
    text = joined.replace("{0}", time_text).replace("{1}", date_text)
    return f"{text} {zone_name(at, zone, locale)}"


@lru_cache(maxsize=4096)
def date_and_second(at: datetime, zone: ZoneInfo, locale: Locale) -> str:
    """Mar 3, 2026, 2:00:07 PM EST: for comparing with a log or with what a provider noted."""
    local = at.astimezone(zone)
    return f"{format_datetime(local, 'medium', locale=locale)} {zone_name(at, zone, locale)}"


def date(at: datetime, zone: ZoneInfo, locale: Locale) -> str:
    return format_date(at.astimezone(zone), "medium", locale=locale)


def weekday_and_date(at: datetime, zone: ZoneInfo, locale: Locale) -> str:
    """Tue, Mar 3, 2026"""
    return format_skeleton("yMMMEd", at.astimezone(zone), locale=locale)


def time_of_day(at: datetime, zone: ZoneInfo, locale: Locale, *, with_zone: bool = True) -> str:
    text = format_time(at.astimezone(zone), "short", locale=locale)
    return f"{text} {zone_name(at, zone, locale)}" if with_zone else text


@lru_cache(maxsize=4096)
def hour(at: time, locale: Locale) -> str:
    """2:00 PM"""
    return format_time(at, "short", locale=locale)


@lru_cache(maxsize=4096)
def full_date(on: Date, locale: Locale) -> str:
    """Tuesday, March 3, 2026"""
    return format_date(on, "full", locale=locale)


def day(at: datetime, zone: ZoneInfo, locale: Locale) -> str:
    """Today, Yesterday, a weekday within six days, else the date."""
    local, today = at.astimezone(zone).date(), now().astimezone(zone).date()
    days = (today - local).days
    if days == 0:
        return "Today"
    if days == 1:
        return "Yesterday"
    if 1 < days < 7:
        return format_date(local, "EEEE", locale=locale)
    return format_date(local, "d MMM" if local.year == today.year else "d MMM yyyy", locale=locale)


def coming_day(at: datetime, zone: ZoneInfo, locale: Locale) -> str:
    """today, tomorrow, a weekday within six days, else the date; past days as dates."""
    local, today = at.astimezone(zone).date(), now().astimezone(zone).date()
    days = (local - today).days
    if days in (0, 1):
        return ("today", "tomorrow")[days]
    if 1 < days < 7:
        return format_date(local, "EEEE", locale=locale)
    return format_date(local, "d MMM" if local.year == today.year else "d MMM yyyy", locale=locale)


def age(at: datetime, locale: Locale) -> str:
    """How long ago, in one short unit: now, 5m, 3h, 2d, 4w, 1y."""
    seconds = max(0, int((now() - at).total_seconds()))
    for size, unit in ((31_557_600, "y"), (604_800, "w"), (86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return "now"


def ago(at: datetime, locale: Locale) -> str:
    return format_timedelta(at - now(), add_direction=True, locale=locale)


def money_micros(micros: int, currency: str, locale: Locale) -> str:
    """Millionths of a currency unit, with as many decimals as a price per text needs."""
    decimals = 2 if micros % 10_000 == 0 else 4
    amount = micros / 1_000_000
    return format_currency(amount, currency, f"¤#,##0.{'0' * decimals}", locale=locale, currency_digits=False)


def price(minor_units: int, currency: str, locale: Locale) -> str:
    """What a price in the smallest units of its currency is for people there: 25,00 €, ¥5,000."""
    amount = Decimal(minor_units).scaleb(-get_currency_precision(currency))
    return format_currency(amount, currency, locale=locale)


def number(value: int | float, locale: Locale) -> str:
    return format_decimal(value, locale=locale)


@lru_cache(maxsize=4096)
def phone(e164: str, country: str = "") -> str:
    """As people of that country write it: national at home, international abroad."""
    try:
        parsed = phonenumbers.parse(e164, None)
    except phonenumbers.NumberParseException:
        return e164
    at_home = phonenumbers.region_code_for_number(parsed) == country
    style = (
        phonenumbers.PhoneNumberFormat.NATIONAL if at_home else phonenumbers.PhoneNumberFormat.INTERNATIONAL
    )
    return phonenumbers.format_number(parsed, style)
