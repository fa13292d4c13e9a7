"""What the eye and the finger find wrong with a page, measured in the page."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

AXE = (Path(__file__).parents[1] / "vendor" / "axe.min.js").read_text()

# Height and width of what a finger has to hit on the pages of customers, in CSS pixels.
FINGER = 44

_SMALL = """(least) => {
  const small = [];
  for (const found of document.querySelectorAll('a[href], button, select, textarea, summary, input:not([type=hidden])')) {
    const box = found.matches('input[type=checkbox], input[type=radio]') ? found.closest('label') ?? found : found;
    const { width, height, right } = box.getBoundingClientRect();
    const style = getComputedStyle(box);
    // Out of sight on purpose: skip links, what robots fall into. A link within a sentence is as high as its line.
    if (!width || !height || right < 0 || style.visibility === 'hidden' || found.matches('.skip, .visually-hidden')) continue;
    if (found.tagName === 'A' && style.display === 'inline') continue;
    if (height < least || width < least) small.push(`${found.outerHTML.slice(0, 90)} ${width} x ${height}`);
  }
  return small;
}"""


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    found: int = page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
    return found


def small_targets(page: Page) -> list[str]:
    """Everything to press that a finger misses."""
    found: list[str] = page.evaluate(_SMALL, FINGER - 0.5)
    return found


def faults(page: Page) -> list[str]:
    """What no page may have at any width."""
    wider = overflow(page)
    shown = page.locator("body").inner_text()
    headings = page.locator("h1").count()
    said = {
        f"{wider} px wider than the window": wider > 0,
        f"{headings} headings of the first level": headings != 1,
        "no title": not page.title().strip(),
        "a value that nobody filled in": any(word in shown for word in ("undefined", "NaN", "[object")),
    }
    return [text for text, is_so in said.items() if is_so]


def problems(page: Page) -> list[str]:
    """Serious and critical violations, each with the first element it is about."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE)
    found: list[dict[str, Any]] = page.evaluate(
        "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"
    )
    return [
        f"{each['id']}: {each['help']} ({len(each['nodes'])}×), {each['nodes'][0]['html'][:160]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
