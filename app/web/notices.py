"""Short messages shown on the page that a redirect leads to, with an Undo button where there is a way back."""

from typing import Any

from flask import flash


def say(
    text: str, kind: str = "success", *, undo_url: str = "", undo_fields: dict[str, str] | None = None
) -> None:
    """`kind` is success, info, warning or danger. base.html shows it; `undo_url` is POSTed to with the fields."""
    message: Any = (
        {"text": text, "undo_url": undo_url, "undo_fields": undo_fields or {}} if undo_url else text
    )
    flash(message, kind)
