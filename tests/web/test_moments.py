"""A moment as people read it: to the minute, with its zone, in the order of their language."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from app.core import formats

AT = datetime(2026, 3, 3, 19, 0, 7, tzinfo=UTC)
NEW_YORK, BERLIN = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("locale", "zone", "said"),
    [
        ("en_US", NEW_YORK, "Mar 3, 2026, 2:00 PM EST"),
        ("en_GB", BERLIN, "3 Mar 2026, 20:00 CET"),
        ("de_DE", BERLIN, "03.03.2026, 20:00 MEZ"),
        ("fr_FR", BERLIN, "3 mars 2026, 20:00"),
        ("es_ES", BERLIN, "3 mar 2026, 20:00 CET"),
    ],
)
def test_no_seconds_where_nobody_compares_with_a_log(locale: str, zone: ZoneInfo, said: str) -> None:
    text = formats.date_and_time(AT, zone, formats.locale_of(locale)).replace("\u202f", " ")
    assert text.startswith(said) and ":07" not in text
    assert ":07" in formats.date_and_second(AT, zone, formats.locale_of(locale))
