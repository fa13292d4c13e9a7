"""Whatever is noted in the audit log is told to its readers in words, not by the name the code has for it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from app.web.audit import GROUPS, WORDS

ROOT = Path(__file__).parents[2]
DEED = re.compile(r"[a-z_]+\.[a-z_]+")
# The audit log's own function, and those of a module that call it with a deed they were given.
NOTES = {"audit.note", "_note", "note_failed"}


def _called(call: ast.Call) -> str:
    return ast.unparse(call.func)


def _deeds_of(function: ast.FunctionDef) -> Iterator[str]:
    """The texts in a function that notes something, but for what it logs and names of templates."""
    logged = {
        id(constant)
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and _called(call).startswith("log.")
        for constant in ast.walk(call)
    }
    for part in ast.walk(function):
        if not isinstance(part, ast.Constant) or not isinstance(part.value, str) or id(part) in logged:
            continue
        if DEED.fullmatch(part.value) and not part.value.endswith(".html"):
            yield part.value


def noted_deeds() -> set[str]:
    found = set()
    for path in [*ROOT.glob("app/**/*.py"), *ROOT.glob("workers/**/*.py")]:
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef) and any(
                isinstance(call, ast.Call) and _called(call) in NOTES for call in ast.walk(function)
            ):
                found.update(_deeds_of(function))
    return found


def test_each_deed_has_words_and_a_filter() -> None:
    deeds = noted_deeds()
    assert len(deeds) > 50 and {"calendar.created", "user.signed_in", "notice.switched_off"} <= deeds
    assert not deeds - WORDS.keys()
    assert not {deed for deed in deeds if not deed.startswith((*GROUPS, "agency."))}
