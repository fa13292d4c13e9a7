"""The zones a guest chooses from, each by its city and its offset now."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo, available_timezones

from markupsafe import Markup, escape

from app.core.clock import now


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    return frozenset(
        name for name in available_timezones() if "/" in name and not name.startswith(("posix/", "right/"))
    ) | {"UTC"}


def zone_label(zone: ZoneInfo, at: datetime) -> str:
    """New York (GMT−5); what has no city of its own is its offset alone."""
    city = zone.key.rpartition("/")[2].replace("_", " ")
    minutes = int((at.astimezone(zone).utcoffset() or timedelta()).total_seconds() // 60)
    sign = "+" if minutes >= 0 else "−"
    hours, rest = divmod(abs(minutes), 60)
    offset = f"GMT{sign}{hours}{f':{rest:02}' if rest else ''}"
    return offset if zone.key.startswith("Etc/") else f"{city} ({offset})"


@lru_cache(maxsize=1)
def _offered_zones() -> tuple[str, ...]:
    """One name for each zone: those of the database's table of countries. Older names are understood, not offered."""
    table = files("tzdata").joinpath("zoneinfo/zone.tab").read_text()
    rows = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    return tuple(sorted({row[2] for row in rows} & zone_names() | {"UTC"}))


@lru_cache(maxsize=8)
def _zone_options_at(hour: int) -> str:
    at = datetime.fromtimestamp(hour * 3600, UTC)
    regions: dict[str, list[str]] = {}
    for name in _offered_zones():
        region = name.partition("/")[0] if "/" in name else "Other"
        regions.setdefault(region, []).append(_zone_option(name, at))
    return "\n".join(
        f'<optgroup label="{escape(region)}">{"".join(options)}</optgroup>'
        for region, options in regions.items()
    )


def _zone_option(name: str, at: datetime) -> str:
    return f'<option value="{escape(name)}">{escape(zone_label(ZoneInfo(name), at))}</option>'


@lru_cache(maxsize=512)
def _zone_options(hour: int, chosen: str, label: str) -> Markup:
    options = _zone_options_at(hour)
    listed = _zone_option(chosen, datetime.fromtimestamp(hour * 3600, UTC))
    shown = f'<option value="{escape(chosen)}" selected>{escape(label)}</option>'
    return Markup(options.replace(listed, shown, 1) if listed in options else shown + options)


def zone_options(chosen: ZoneInfo, at: datetime) -> Markup:
    """Every zone by region, with its offset now: hundreds of lines that are the same for an hour. The chosen one has that of
    the day that is shown, which may lie behind a change of the clocks."""
    return _zone_options(int(now().timestamp() // 3600), chosen.key, zone_label(chosen, at))
