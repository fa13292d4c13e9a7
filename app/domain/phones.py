"""Phone numbers: one reading of what people type, and the spellings under which one line is known."""

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat
from phonenumbers import timezone as number_zones


def to_e164(text: str, country: str) -> str:
    """`+14155550101` from what a person typed; `country` is the ISO code that a number without + belongs to.

    Raises ValueError with a sentence for the person.
    """
    try:
        parsed = phonenumbers.parse(text.strip(), country or None)
    except NumberParseException as error:
        raise ValueError(
            "That is not a phone number. Try it with country code, like +1 415 555 0101."
        ) from error
    if not phonenumbers.is_possible_number(parsed):
        raise ValueError("That phone number has too many or too few digits.")
    return phonenumbers.format_number(parsed, PhoneNumberFormat.E164)


def candidates(e164: str) -> list[str]:
    """The number and the other spellings of the same mobile line, the given one first.

    Mexico wrote +52 1, Argentina +54 9 and Brazil a leading 9 for mobiles at different times, and providers still
    disagree. What is stored is never rewritten; only matching looks at all of them.
    """
    found = [e164]
    if e164.startswith("+521") and len(e164) == 14:
        found.append("+52" + e164[4:])
    elif e164.startswith("+52") and len(e164) == 13:
        found.append("+521" + e164[3:])
    elif e164.startswith("+549") and len(e164) == 14:
        found.append("+54" + e164[4:])
    elif e164.startswith("+54") and len(e164) == 13:
        found.append("+549" + e164[3:])
    elif e164.startswith("+55") and len(e164) == 14 and e164[5] == "9":
        found.append(e164[:5] + e164[6:])
    elif e164.startswith("+55") and len(e164) == 13 and e164[5] in "6789":
        found.append(f"{e164[:5]}9{e164[5:]}")
    return found


def country_of(e164: str) -> str:
    """ISO code of the country, '' when it is not known."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(e164, None)) or ""
    except NumberParseException:
        return ""


def zone_of(e164: str) -> str:
    """IANA zone when the number belongs to just one, else ''."""
    try:
        zones = number_zones.time_zones_for_number(phonenumbers.parse(e164, None))
    except NumberParseException:
        return ""
    return zones[0] if len(zones) == 1 and zones[0] != "Etc/Unknown" else ""
