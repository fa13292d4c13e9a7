"""The form of an account, for a new one and for its settings, and the lists to choose from."""

from datetime import time
from functools import lru_cache
from typing import cast
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale
from babel.numbers import get_currency_name, get_territory_currencies
from flask import request
from wtforms import (
    BooleanField,
    FileField,
    IntegerField,
    RadioField,
    SelectField,
    StringField,
    TextAreaField,
    TimeField,
)
from wtforms.validators import InputRequired, Optional

from app.core.clock import now
from app.core.errors import Invalid
from app.domain.accounts import LARGEST_LOGO, AccountFacts
from app.models.account import BRAND_COLOURS, Account
from app.web.forms import Form

QUIET = (time(21), time(8))
# Language and country, as babel names them.
LOCALES = (
    ("en", "US GB CA AU NZ IE IN ZA"),
    ("de", "DE AT CH"),
    ("fr", "FR CA BE CH"),
    ("es", "ES MX AR CO US"),
    ("pt", "BR PT"),
    ("it", "IT"),
    ("nl", "NL BE"),
    ("da", "DK"),
    ("sv", "SE"),
    ("nb", "NO"),
    ("fi", "FI"),
    ("pl", "PL"),
    ("cs", "CZ"),
    ("ro", "RO"),
    ("hu", "HU"),
    ("el", "GR"),
    ("tr", "TR"),
    ("ja", "JP"),
    ("ko", "KR"),
    ("th", "TH"),
    ("vi", "VN"),
    ("id", "ID"),
    ("he", "IL"),
    ("hi", "IN"),
)
_ENGLISH = Locale("en")


@lru_cache
def countries() -> dict[str, str]:
    names = ((code, name) for code, name in _ENGLISH.territories.items() if len(code) == 2 and code.isalpha())
    left_out = {"EU", "EZ", "UN", "QO", "XA", "XB", "ZZ"}
    return dict(sorted(((c, n) for c, n in names if c not in left_out), key=lambda pair: pair[1]))


@lru_cache
def currencies() -> dict[str, str]:
    """Those in use somewhere today."""
    codes = sorted({c for country in countries() for c in get_territory_currencies(country)})
    return {code: f"{code} · {get_currency_name(code, locale=_ENGLISH)}" for code in codes}


@lru_cache
def locales() -> dict[str, str]:
    codes = [f"{language}_{country}" for language, places in LOCALES for country in places.split()]
    return {code: Locale.parse(code).get_display_name("en") or code for code in codes}


def zones() -> list[tuple[str, str]]:
    """Every place with a time zone, and how far it is from UTC today."""
    at = now()
    found = []
    for name in sorted(available_timezones()):
        if "/" not in name or name.startswith(("Etc/", "posix/", "right/", "SystemV/", "US/")):
            continue
        offset = at.astimezone(ZoneInfo(name)).strftime("%z")
        found.append((name, f"UTC{offset[:3]}:{offset[3:]}"))
    return found


class AccountForm(Form):
    name = StringField("Name of the business")
    slug = StringField("Address in Levelhead")
    trade = StringField("Trade")
    address = TextAreaField("Postal address")
    country = SelectField("Country")
    timezone = StringField("Time zone")
    locale = SelectField("Dates and numbers as in")
    currency = SelectField("Currency")
    brand_colour = RadioField("Colour", choices={c: c.capitalize() for c in BRAND_COLOURS})
    logo = FileField("Logo")
    quiet_on = BooleanField("Hold texts during quiet hours")
    quiet_from = TimeField("From", [Optional()])
    quiet_until = TimeField("Until", [Optional()])
    quiet_reply_minutes = IntegerField("Answers go at once for", [InputRequired("Give a whole number.")])

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.country.choices = countries()
        self.locale.choices = locales()
        self.currency.choices = currencies()

    def facts(self, before: AccountFacts | None = None) -> AccountFacts:
        """What was typed; what the form does not ask stays as it was. Raises Invalid."""
        quiet: tuple[time | None, time | None] = (None, None)
        if self.quiet_on.data:
            quiet = (self.quiet_from.data, self.quiet_until.data)
            missing = [n for n, at in zip(("quiet_from", "quiet_until"), quiet, strict=True) if at is None]
            if missing:
                raise Invalid(dict.fromkeys(missing, "Give a time, or switch quiet hours off."))
        facts = before or AccountFacts(name="")
        for name in ("name", "trade", "address", "country", "timezone", "locale", "currency", "brand_colour"):
            setattr(facts, name, self[name].data or "")
        facts.slug = self.slug.data or facts.slug
        facts.quiet_from, facts.quiet_until = quiet
        facts.quiet_reply_minutes = cast(int, self.quiet_reply_minutes.data)
        return facts

    def logo_content(self) -> bytes:
        """The picture that came along, empty without one; never more than a byte over the limit."""
        upload = request.files.get("logo")
        return upload.stream.read(LARGEST_LOGO + 1) if upload and upload.filename else b""


class LimitsForm(AccountForm):
    """With what only the agency sets."""

    daily_message_quota = IntegerField("Texts a day at most", [InputRequired("Give a whole number.")])
    messages_per_second = IntegerField("Texts a second at most", [InputRequired("Give a whole number.")])

    def facts(self, before: AccountFacts | None = None) -> AccountFacts:
        facts = super().facts(before)
        facts.daily_message_quota = cast(int, self.daily_message_quota.data)
        facts.messages_per_second = cast(int, self.messages_per_second.data)
        return facts


def values_of(account: Account) -> dict[str, object]:
    """The form of an account as it is; quiet hours that are off keep sensible times to switch on."""
    values: dict[str, object] = dict(vars(AccountFacts.of(account)))
    values["quiet_on"] = account.quiet_from is not None
    if account.quiet_from is None:
        values |= {"quiet_from": QUIET[0], "quiet_until": QUIET[1]}
    return values
