"""Formats of dates and times in a zone that somebody chose, for pages that show times of more than one zone."""

from datetime import date as Date
from datetime import datetime
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale
from babel.dates import format_date, format_interval, format_skeleton, format_time, get_timezone_location

from app.core import formats


def zone_of(name: str, otherwise: ZoneInfo) -> ZoneInfo:
    """The zone with that name; nonsense gives the other one."""
    return ZoneInfo(name) if name in available_timezones() else otherwise


class Zoned:
    """`zone_label` names it: "Berlin time, GMT+1"."""

    def __init__(self, zone: ZoneInfo, locale: Locale) -> None:
        self.zone, self.locale = zone, locale

    def hour(self, at: datetime) -> str:
        return formats.time_of_day(at, self.zone, self.locale, with_zone=False)

    def clock(self, at: datetime) -> str:
        return formats.time_of_day(at, self.zone, self.locale)

    def span(self, starts_at: datetime, ends_at: datetime) -> str:
        return f"{self.hour(starts_at)} – {self.hour(ends_at)}"

    def date(self, at: datetime) -> Date:
        return at.astimezone(self.zone).date()

    def weekday(self, on: Date) -> str:
        return format_date(on, "EEE", locale=self.locale)

    def short_day(self, on: Date) -> str:
        return format_skeleton("MMMEd", _at(on), locale=self.locale)

    def long_day(self, on: Date) -> str:
        return format_date(on, "full", locale=self.locale)

    def month(self, on: Date) -> str:
        return format_skeleton("yMMMM", _at(on), locale=self.locale)

    def range(self, first: Date, last: Date) -> str:
        """Nov 16 – 22, 2026"""
        return (
            self.long_day(first)
            if first == last
            else format_interval(first, last, "yMMMd", locale=self.locale)
        )

    def moment(self, at: datetime) -> str:
        """Mon, Nov 23, 10:00 AM EST"""
        return f"{self.short_day(self.date(at))}, {self.clock(at)}"

    def wall(self, naive: datetime) -> str:
        """A time of day on the wall, of no moment in particular."""
        return format_time(naive, "short", locale=self.locale)

    def zone_label(self, at: datetime) -> str:
        place = get_timezone_location(self.zone, locale=self.locale, return_city=True)
        return f"{place} time, {formats.zone_name(at, self.zone, self.locale)}"


def _at(on: Date) -> datetime:
    return datetime(on.year, on.month, on.day)
