"""Texts made comparable: lower case, without accents, single spaces; and made safe for LIKE.

What is stored for searching and what a person types go through the same `fold`, so "jose" finds "José" and "Straße"
finds "STRASSE".
"""

import unicodedata


def fold(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return " ".join(bare.casefold().split())


def like_literal(text: str) -> str:
    """The text with LIKE's wildcards taken at their word; backslash is the escape character by default."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def clean(text: str, *, lines: bool = False) -> str:
    """What a person typed, without control characters (Postgres refuses NUL) and without outer space.

    Invisible joiners stay, since emoji are made of them. `lines` keeps line breaks.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    allowed = "\n\t" if lines else ""
    kept = (
        letter if letter in allowed or unicodedata.category(letter) not in ("Cc", "Cs") else " "
        for letter in text
    )
    joined = "".join(kept)
    return joined.strip() if lines else " ".join(joined.split())
