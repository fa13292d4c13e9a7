"""What a check of `levelhead doctor` gives back."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

OK, WARNING, BAD = "ok", "warning", "bad"


@dataclass(frozen=True)
class Finding:
    """`state` is ok, warning or bad."""

    name: str
    state: str
    text: str
    next_step: str = ""


Check = Callable[[], Iterable[Finding]]


def line(error: Exception) -> str:
    """The first line of what went wrong."""
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
