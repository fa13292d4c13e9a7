"""What a person types to connect Twilio, checked by shape before Twilio is asked. For the form and the command alike."""

import re
from collections.abc import Mapping

from app.core.errors import Invalid

FIELDS = ("account_sid", "auth_token", "api_key_sid", "api_key_secret")


def _sid(prefix: str, value: str) -> bool:
    return re.fullmatch(prefix + "[0-9a-fA-F]{32}", value) is not None


def read(typed: Mapping[str, str]) -> tuple[dict[str, str], str | None]:
    """Credentials and the messaging service, if one is named. Raises Invalid with a sentence per field."""
    given = {name: (typed.get(name) or "").strip() for name in (*FIELDS, "service_ref")}
    problems: dict[str, str] = {}
    if not _sid("AC", given["account_sid"]):
        problems["account_sid"] = "An Account SID is AC and 32 more characters (0-9, a-f)."
    if not given["auth_token"]:
        problems["auth_token"] = (
            "The auth token is needed even with an API key: Twilio signs what it sends us with it, and without it "
            "nobody could tell a real text from a forged one."
            if given["api_key_sid"]
            else "Copy the auth token from the Twilio console."
        )
    elif not re.fullmatch(r"[\x21-\x7e]{8,128}", given["auth_token"]):
        problems["auth_token"] = "That is not an auth token: it has no spaces and usually 32 characters."
    if given["api_key_sid"] and not _sid("SK", given["api_key_sid"]):
        problems["api_key_sid"] = "An API key's SID is SK and 32 more characters (0-9, a-f)."
    if bool(given["api_key_sid"]) != bool(given["api_key_secret"]):
        missing = "api_key_secret" if given["api_key_sid"] else "api_key_sid"
        problems.setdefault(missing, "An API key has two parts: its SID and its secret.")
    if given["service_ref"] and not _sid("MG", given["service_ref"]):
        problems["service_ref"] = "A messaging service's SID is MG and 32 more characters (0-9, a-f)."
    if problems:
        raise Invalid(problems)
    return {name: given[name] for name in FIELDS if given[name]}, given["service_ref"] or None
