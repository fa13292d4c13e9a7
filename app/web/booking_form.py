"""The form a guest fills in: what was typed, what is missing, and the signed token that stands for a session.

The public pages set no cookie, so a token in the form does what one would: it says that the form was really given out, when,
for which calendar and with which words to agree to, and carries the key that makes two clicks one booking.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from itsdangerous import BadData, URLSafeTimedSerializer

from app.core import runtime
from app.core.clock import now
from app.core.errors import Invalid
from app.domain.booking.guests import Guest
from app.models.calendar import Calendar

FIELDS = ("name", "email", "phone", "others", "notes")
LONGEST = {"name": 120, "email": 254, "phone": 40, "others": 1000, "notes": 2000}
LONGEST_ANSWER = 2000
# Nobody reads and fills in the form faster; programs do.
QUICKEST_S = 2
LASTS_S = 24 * 3600
# What the hidden field that only programs fill in is called.
TRAP = "website"


class Robot(Exception):
    """It was not a person, or the form is too old; `sentence` is for a person all the same."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass
class BookingForm:
    calendar: Calendar
    values: dict[str, str]
    token: str
    errors: dict[str, str] = field(default_factory=dict)
    # What they agreed to is not what stands there now.
    consent_changed: bool = False

    @property
    def needs_phone(self) -> bool:
        """We are to call the guest."""
        return self.calendar.location_kind == "phone" and not self.calendar.location_text

    @property
    def needs_email(self) -> bool:
        return not self.needs_phone

    @property
    def answers(self) -> list[dict[str, Any]]:
        given = [
            {"label": question["label"], "answer": self.values[f"q_{question['key']}"]}
            for question in self.calendar.questions
            if self.values[f"q_{question['key']}"]
        ]
        if self.values["notes"]:
            given.append({"label": "Anything we should know?", "answer": self.values["notes"]})
        return given

    @property
    def guest(self) -> Guest:
        """As typed; the domain checks names, addresses and numbers."""
        others = self.values["others"].replace(";", ",").replace("\n", ",").split(",")
        return Guest(
            name=self.values["name"],
            email=self.values["email"],
            phone=self.values["phone"],
            timezone=self.values["zone"],
            others=[other.strip() for other in others if other.strip()],
            answers=self.answers,
            consent_text=self.calendar.consent_text if self.values["consent"] else "",
        )

    def check(self) -> None:
        """What this calendar asks for. Raises Invalid."""
        wrong: dict[str, str] = {}
        if not self.values["name"].strip():
            wrong["name"] = "Tell us your name."
        if self.needs_email and not self.values["email"].strip():
            wrong["email"] = "Give an e-mail address for the confirmation."
        if self.needs_phone and not self.values["phone"].strip():
            wrong["phone"] = "Give a number at which we can call you."
        for question in self.calendar.questions:
            name = f"q_{question['key']}"
            if question.get("required") and not self.values[name].strip():
                wrong[name] = "Please answer this."
            elif question["kind"] == "choice" and self.values[name] not in (
                "",
                *(question.get("options") or []),
            ):
                wrong[name] = "Please choose one of these."
        if self.calendar.consent_text and not self.values["consent"]:
            changed = "This has changed since you opened the page. Please read it and tick it again."
            wrong["consent"] = changed if self.consent_changed else "Please tick this to go on."
        if wrong:
            raise Invalid(wrong)


def blank(calendar: Calendar, prefill: Mapping[str, str], zone: str) -> BookingForm:
    """A link may fill in words; consent is ticked by the guest alone."""
    values = _values(calendar, prefill, zone) | {"consent": ""}
    return BookingForm(calendar, values, new_token(calendar))


def sent(calendar: Calendar, typed: Mapping[str, str], zone: str) -> tuple[BookingForm, str]:
    """The form and the key of this booking. Raises Robot."""
    given = _read(calendar, typed.get("form", ""))
    if typed.get(TRAP, "").strip():
        raise Robot("This could not be sent.")
    form = BookingForm(calendar, _values(calendar, typed, zone), typed.get("form", ""))
    if given.agreed != _digest(calendar.consent_text):
        # The proof must hold the words that were read.
        form.values["consent"], form.consent_changed = "", True
        form.token = _sign(calendar, given.key, given.issued)
    return form, f"page:{given.key}"


def again(calendar: Calendar, typed: Mapping[str, str], zone: str) -> BookingForm:
    """The same words in a new form, when the old one was too old."""
    return BookingForm(calendar, _values(calendar, typed, zone), new_token(calendar))


def _values(calendar: Calendar, typed: Mapping[str, str], zone: str) -> dict[str, str]:
    found = {name: _clean(typed.get(name, ""), LONGEST[name]) for name in FIELDS}
    for question in calendar.questions:
        name = f"q_{question['key']}"
        # Links may prefill answers by the question's own key.
        found[name] = _clean(typed.get(name) or typed.get(question["key"], ""), LONGEST_ANSWER)
    found["consent"] = "yes" if typed.get("consent") == "yes" else ""
    found["zone"] = zone
    return found


def _clean(text: str, longest: int) -> str:
    return text.replace("\r\n", "\n").replace("\0", "")[:longest]


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(runtime.current().settings.secret_key, salt="booking-form")


def new_token(calendar: Calendar) -> str:
    return _sign(calendar, secrets.token_urlsafe(12), int(now().timestamp()))


def _sign(calendar: Calendar, key: str, issued: int) -> str:
    return str(_signer().dumps([str(calendar.id), key, issued, _digest(calendar.consent_text)]))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class Given(NamedTuple):
    """What a form was given out with."""

    key: str
    issued: int
    agreed: str


def _read(calendar: Calendar, token: str) -> Given:
    try:
        found = _signer().loads(token)
        calendar_id, given = str(found[0]), Given(str(found[1]), int(found[2]), str(found[3]))
    except (BadData, ValueError, TypeError, IndexError) as error:
        raise Robot("This form was not complete. Please send it once more.") from error
    age = now().timestamp() - given.issued
    if calendar_id != str(calendar.id) or age > LASTS_S:
        raise Robot("This page was open for too long. Please send it once more.")
    if age < QUICKEST_S:
        raise Robot("That was very quick. Please send it once more.")
    return given
