"""Numbers as they come from outside: in a query, a form or the name of a button."""


def whole_number(text: object, digits: int = 6) -> int | None:
    """What plain ASCII digits say, at most that many of them; None for everything else."""
    found = str(text).strip()
    return int(found) if found.isascii() and found.isdigit() and len(found) <= digits else None
