"""Makes the demo's businesses, customers and hosts known to the provider simulator, through its own door."""

from collections.abc import Mapping
from pathlib import Path

import requests

from app.commands.demo.businesses import Business, Person
from app.commands.start import Trouble

PICTURES = Path(__file__).parents[2] / "sandbox" / "static" / "pictures"


def register_account(simulator_url: str, business: Business) -> None:
    """Raises Trouble when the simulator does not answer."""
    numbers = [
        {"phone_number": number, "friendly_name": name, "country": "US"} for number, name in business.numbers
    ]
    _post(
        f"{simulator_url}/_sim/twilio/accounts",
        {
            "sid": business.account_sid,
            "auth_token": business.auth_token,
            "name": business.facts.name,
            "numbers": numbers,
        },
    )


def register_handset(simulator_url: str, number: str, name: str, business: Business) -> None:
    order = {"number": number, "name": name, "business": business.numbers[0][0]}
    _post(f"{simulator_url}/_sim/twilio/handsets", order)


def register_google_account(simulator_url: str, person: Person, timezone: str) -> None:
    """A Google account of a person who takes bookings, with a fortnight in its calendar."""
    order = {"email": person.email, "name": person.name, "timezone": timezone, "fill": True}
    _post(f"{simulator_url}/_sim/google/accounts", order)


def _post(url: str, order: Mapping[str, object]) -> None:
    session = requests.Session()
    session.trust_env = False
    try:
        session.post(url, json=order, timeout=10).raise_for_status()
    except requests.RequestException as error:
        raise Trouble(f"The simulator did not take {url}: {error}") from error


def picture(name: str) -> bytes:
    return (PICTURES / name).read_bytes()
