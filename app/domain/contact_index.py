"""What lists of contacts sort by and what searches look through, and the reading of what a person searches for.

Both sides go through `fold`. The search itself is the SQL function search_contacts(pattern, max_rows) of the migrations,
because row-level security keeps ILIKE away from the trigram index.
"""

import phonenumbers

from app.core.folding import fold, like_literal
from app.models.contact import Contact

# After every letter of the alphabet in the sort: people without a name come last.
NAMELESS = "~"
_AROUND_DIGITS = set("+-()./ \u00a0")
FEWEST_DIGITS = 3


def index(contact: Contact) -> None:
    """Sets `sort_name` and `search`; to be called after every change. `points` must be loaded.

    The first name stands again after the last, so that "garcia rosa" finds Rosa García; phones stand as E.164 and as
    the digits people dial at home.
    """
    points = contact.points
    name = contact.name or contact.company
    contact.sort_name = fold(name) if name else NAMELESS + (points[0].value if points else "")
    words = [contact.first_name, contact.last_name, contact.first_name, contact.company, contact.first_name]
    for point in points:
        words.append(point.value)
        if point.kind == "phone":
            words.append(national_digits(point.value))
    contact.search = fold(" ".join(words + contact.tags))


def national_digits(e164: str) -> str:
    """As dialled inside the country, with the leading zero where there is one."""
    try:
        parsed = phonenumbers.parse(e164, None)
    except phonenumbers.NumberParseException:
        return ""
    text = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    return "".join(letter for letter in text if letter.isdigit())


def pattern(text: str) -> str:
    """What to hand to search_contacts: the words in this order with anything between, wildcards taken literally.

    Something that looks like a phone number is searched by its digits, however it is grouped.
    """
    folded = fold(text)
    digits = "".join(letter for letter in folded if letter.isdigit())
    if len(digits) >= FEWEST_DIGITS and all(
        letter.isdigit() or letter in _AROUND_DIGITS for letter in folded
    ):
        return digits.removeprefix("00")
    return "%".join(like_literal(word) for word in folded.split())
