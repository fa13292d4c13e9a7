"""What a calendar asks its guests beside name and address. A question keeps its key when its words change: links use it."""

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from app.core.actor import Actor
from app.core.errors import Invalid
from app.core.folding import clean
from app.domain import audit
from app.models.calendar import QUESTION_KINDS, Calendar

MOST_QUESTIONS = 20
MOST_OPTIONS = 30


def set_questions(
    session: Session, actor: Actor, calendar: Calendar, typed: Sequence[dict[str, Any]]
) -> None:
    """[{key, label, kind, required, options}]; a new question has no key yet. Raises Invalid for label.<n> and options.<n>."""
    wrong: dict[str, str] = {}
    found: list[dict[str, Any]] = []
    if len(typed) > MOST_QUESTIONS:
        wrong[""] = f"Ask {MOST_QUESTIONS} questions at most; people give up on long forms."
    keys = {str(each.get("key") or "") for each in calendar.questions}
    for number, each in enumerate(typed):
        label = clean(str(each.get("label", "")))
        kind = each.get("kind")
        options = list(dict.fromkeys(filter(None, (clean(one) for one in each.get("options", [])))))
        if not label or len(label) > 200:
            wrong[f"label.{number}"] = "Write the question, in at most 200 characters."
        if kind not in QUESTION_KINDS:
            wrong[f"kind.{number}"] = "Choose how it is answered."
        if kind == "choice" and not 2 <= len(options) <= MOST_OPTIONS:
            wrong[f"options.{number}"] = f"List 2 to {MOST_OPTIONS} answers, one per line."
        elif any(len(one) > 100 for one in options):
            wrong[f"options.{number}"] = "Keep each answer within 100 characters."
        key = each.get("key")
        if key not in keys or any(key == other["key"] for other in found):
            key = f"q{secrets.token_hex(4)}"
        found.append(
            {
                "key": key,
                "label": label,
                "kind": kind,
                "required": bool(each.get("required")),
                "options": options if kind == "choice" else [],
            }
        )
    if wrong:
        raise Invalid(wrong)
    calendar.questions = found
    audit.note(session, actor, "calendar.questions", calendar.name, account_id=calendar.account_id)
    session.flush()
