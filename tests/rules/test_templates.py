"""Templates keep to the strict policy: no inline style, script or handler, and none of HTMX's ways around it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for folder in ("templates", "app/sandbox/templates")
    for path in (ROOT / folder).rglob("*.html")
    # Mail programs know no stylesheets: css-inline moves styles onto the elements there.
    if "emails" not in path.parts
)
FORBIDDEN = {
    "an inline style": r"\sstyle\s*=",
    "a style element": r"<style\b",
    "an inline script": r"<script(?![^>]*\bsrc=)[^>]*>",
    "an inline handler": r"<[^>]*\son[a-z]+\s*=",
    "hx-on": r"\bhx-on\b",
    "a script address": r"javascript:",
    "a filter in hx-trigger (it is evaluated)": r"hx-trigger\s*=\s*\"[^\"]*\[",
    "values by script": r"hx-vals\s*=\s*['\"]js:",
    "a host that is not ours": r"<(?:script|link|img)[^>]*(?:src|href)=\"(?:https?:)?//",
}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_inline(page: Path) -> None:
    text = re.sub(r"{#.*?#}", "", page.read_text(), flags=re.DOTALL)
    found = [what for what, pattern in FORBIDDEN.items() if re.search(pattern, text, re.IGNORECASE)]
    assert not found, f"{page.relative_to(ROOT)} has {', '.join(found)}"


def test_scripts_evaluate_nothing() -> None:
    for script in sorted((ROOT / "static" / "js").rglob("*.js")):
        text = script.read_text()
        assert not re.search(r"\beval\(|new Function\(|document\.write\(", text), script
        assert not re.search(r"\.setAttribute\(\s*[\"']style|\.cssText\b", text), script
