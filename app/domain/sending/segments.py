"""How a text is cut into segments, which is what carriers charge for.

GSM 03.38 (ETSI TS 123 038) with its extension table: 160 characters alone, 153 in each part of a longer text. One
character outside of it turns the whole text into UCS-2: 70 alone, 67 in parts, counted in UTF-16 units.
https://www.twilio.com/docs/glossary/what-sms-character-limit
"""

import unicodedata
from dataclasses import dataclass, field

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("\f^{}\\[~]|€")
MAX_CHARACTERS = 1600

REPLACEMENTS = {
    "‘": "'", "’": "'", "‚": ",", "‛": "'", "′": "'", "`": "'", "´": "'", "“": '"', "”": '"', "„": '"', "″": '"',
    "«": '"', "»": '"', "–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-", "…": "...", "•": "*", "·": ".",
    "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u2003": " ", "\u2002": " ", "\u200b": "", "\u200d": "",
    "\ufeff": "", "\ufe0f": "", "\t": " ", "×": "x", "÷": "/", "™": "(TM)", "©": "(c)", "®": "(R)", "°": " deg ",
    "½": "1/2", "¼": "1/4", "¾": "3/4", "✓": "ok", "→": "->", "←": "<-", "ç": "c",
}  # fmt: skip

NAMES = {
    "’": "curly apostrophe",
    "‘": "curly quote",
    "“": "curly quotation mark",
    "”": "curly quotation mark",
    "–": "en dash",
    "—": "em dash",
    "…": "ellipsis",
    "\u00a0": "non-breaking space",
    "\u200b": "invisible space",
    "•": "bullet",
    "\t": "tab",
}


@dataclass(frozen=True)
class Culprit:
    """A character that forces UCS-2; `replacement` is None when nothing plain stands for it."""

    char: str
    name: str
    replacement: str | None


@dataclass(frozen=True)
class Segments:
    encoding: str
    units: int
    segments: int
    left_in_segment: int
    characters: int
    culprits: list[Culprit] = field(default_factory=list)


def count(body: str) -> Segments:
    """What the text costs in segments; an empty text has none."""
    outside = [c for c in dict.fromkeys(body) if c not in BASIC and c not in EXTENDED]
    if outside:
        sizes = [2 if ord(c) > 0xFFFF else 1 for c in body]
        alone, part, encoding = 70, 67, "UCS-2"
    else:
        sizes = [2 if c in EXTENDED else 1 for c in body]
        alone, part, encoding = 160, 153, "GSM-7"
    units = sum(sizes)
    if units <= alone:
        segments, left = (1 if units else 0), alone - units
    else:
        segments, left = _fill(sizes, part)
    culprits = [Culprit(c, name_of(c), replacement_of(c)) for c in outside]
    return Segments(encoding, units, segments, left, len(body), culprits)


def _fill(sizes: list[int], part: int) -> tuple[int, int]:
    """Number of parts and room in the last; a character is never cut in two."""
    parts, used = 1, 0
    for size in sizes:
        if used + size > part:
            parts, used = parts + 1, 0
        used += size
    return parts, part - used


def name_of(char: str) -> str:
    return NAMES.get(char) or unicodedata.name(char, f"U+{ord(char):04X}").lower()


def replacement_of(char: str) -> str | None:
    """Plain GSM-7 text that reads the same, '' for invisible characters, None when there is none."""
    if char in REPLACEMENTS:
        return REPLACEMENTS[char]
    plain = "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c))
    return plain if plain and all(c in BASIC or c in EXTENDED for c in plain) else None


def to_gsm(body: str) -> str:
    """The text with every character replaced that has a plain one; what has none stays."""
    composed = unicodedata.normalize("NFC", body)
    return "".join(
        c if c in BASIC or c in EXTENDED or (plain := replacement_of(c)) is None else plain for c in composed
    )
