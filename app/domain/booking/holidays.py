"""Public holidays of countries and their regions, by the `holidays` library; names in English where it knows them."""

from datetime import date
from functools import lru_cache

import holidays
from babel import Locale

from app.core.errors import Invalid

_ENGLISH = Locale("en")


@lru_cache
def regions() -> dict[str, list[str]]:
    """Codes of the regions by country, in the order of the countries' English names."""
    known = {code: sub for code, sub in holidays.list_supported_countries().items() if len(code) == 2}
    return dict(sorted(known.items(), key=lambda pair: country_name(pair[0])))


def country_name(code: str) -> str:
    return str(_ENGLISH.territories.get(code, code))


def of(country: str, region: str, first: date, years: int = 2) -> dict[date, str]:
    """From that day until the end of the year after, or more. Raises Invalid for country and region."""
    if country not in regions():
        raise Invalid({"country": "Choose a country from the list."})
    if region and region not in regions()[country]:
        raise Invalid({"region": "This country has no such region. Leave it empty for the whole country."})
    wanted = range(first.year, first.year + years)
    try:
        found = holidays.country_holidays(country, subdiv=region or None, years=wanted, language="en_US")
    except NotImplementedError:
        found = holidays.country_holidays(country, subdiv=region or None, years=wanted)
    return {day: str(name) for day, name in sorted(found.items()) if day >= first}
