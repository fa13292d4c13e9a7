"""Public holidays: every country answers, with the newer dateutil that the library does not ask for."""

from datetime import date

import pytest

from app.core.errors import Invalid
from app.domain.booking import holidays


def test_every_country_answers() -> None:
    assert len(holidays.regions()) > 200
    for country in holidays.regions():
        holidays.of(country, "", date(2026, 11, 22))


def test_moving_feasts_and_regions() -> None:
    bavaria = holidays.of("DE", "BY", date(2026, 11, 22))
    assert bavaria[date(2027, 5, 27)] == "Corpus Christi"
    assert date(2027, 5, 27) not in holidays.of("DE", "", date(2026, 11, 22))
    assert min(bavaria) >= date(2026, 11, 22)
    assert holidays.of("GR", "", date(2027, 1, 1))[date(2027, 5, 3)]


@pytest.mark.parametrize(("country", "region"), [("XX", ""), ("DE", "TX"), ("", "")])
def test_what_does_not_exist_is_said(country: str, region: str) -> None:
    with pytest.raises(Invalid):
        holidays.of(country, region, date(2026, 1, 1))
