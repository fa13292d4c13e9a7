"""Every screen that a link leads to, on a desk and on a phone: nothing wider than its window, one heading, no error on the
console (every page is watched). New screens come in by being linked; nobody has to list them.
"""

import re
from collections import deque
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import Open
from tests.journeys.looks import faults, small_targets

ROW_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
# Files rather than screens.
FILES = re.compile(r"/media/|\.ics$|/logo$")
DESK, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 780}


def kind_of(address: str) -> str:
    """Addresses of one kind show the same screen of different rows: ids, accounts and values of filters fold."""
    parts = urlsplit(address)
    path = ROW_ID.sub("*", parts.path)
    path = re.sub(r"^(/a|/book)/[^/]+", r"\1/*", path)
    path = re.sub(r"^(/book/\*)/[^/]+", r"\1/*", path)
    views = sorted(
        f"{name}={value}" for name, value in parse_qsl(parts.query) if name in ("view", "tab", "show")
    )
    others = sorted(name for name, _ in parse_qsl(parts.query) if name not in ("view", "tab", "show"))
    return f"{path}?{'&'.join([*views, *others])}"


def walk(page: Page, *start: str) -> dict[str, list[str]]:
    """Opens one address of each kind, and gives what is wrong with it at either width."""
    found: dict[str, list[str]] = {}
    seen: set[str] = set()
    to_do = deque(start)
    while to_do:
        address = to_do.popleft()
        if kind_of(address) in seen or FILES.search(urlsplit(address).path):
            continue
        seen.add(kind_of(address))
        page.set_viewport_size(DESK)
        answer = page.goto(address)
        wrong = [] if answer and answer.ok else ["does not open"]
        wrong += [f"on a desk {each}" for each in faults(page)]
        page.set_viewport_size(PHONE)
        wrong += [f"on a phone {each}" for each in faults(page)]
        found[address] = wrong
        links = page.eval_on_selector_all(
            "a[href^='/']:not([download])", "all => all.map(a => a.getAttribute('href'))"
        )
        to_do += [link.partition("#")[0] for link in links]
    return found


def told(found: dict[str, list[str]]) -> str:
    return "\n".join(f"{address}: {', '.join(wrong)}" for address, wrong in found.items() if wrong)


def test_screens_of_the_agency(open_browser: Open) -> None:
    page = open_browser("ana")
    found = walk(page, "/agency/accounts", "/agency/operations", "/account", "/a/luna-yoga/inbox?tab=all")
    assert len(found) > 70
    assert not told(found)


def test_screens_of_the_front_desk(open_browser: Open) -> None:
    """Somebody without rights to set things up is shown no link that then refuses them."""
    page = open_browser("cleo")
    found = walk(page, "/a/bright-smile-dental/inbox?tab=all", "/account")
    assert len(found) > 25
    assert not told(found)


def test_screens_of_a_customer(open_browser: Open) -> None:
    page = open_browser()
    found = walk(page, "/book/luna-yoga", "/book/bright-smile-dental", "/sign-in")
    assert len(found) > 6
    assert not told(found)


@pytest.mark.parametrize(
    "address", ["/sign-in", "/reset", "/book/luna-yoga", "/book/luna-yoga/vinyasa-class/waitlist"]
)
def test_a_finger_hits_everything(open_browser: Open, address: str) -> None:
    page = open_browser(width=390, height=780, scripts=False)
    page.goto(address)
    assert not small_targets(page)


def test_a_finger_hits_everything_while_booking(open_browser: Open) -> None:
    """From the month to the cancelled booking; each page in the colour of the business, not in ours."""
    page = open_browser(width=390, height=780)
    wrong: list[str] = []

    def look(where: str) -> None:
        wrong.extend(f"{where}: {each}" for each in (*small_targets(page), *faults(page)))

    page.goto("/book/luna-yoga/private-lesson")
    look("month")
    page.locator(".day.has-times").last.click()
    expect(page.locator(".day.has-times").last).to_have_attribute("aria-current", "date")
    page.locator(".time").last.click()
    look("details")
    colour = page.locator("#details button.button-primary").evaluate(
        "b => getComputedStyle(b).backgroundColor"
    )
    assert colour == "rgb(124, 58, 237)", "the violet of the studio"
    page.get_by_label("Name").fill("Fatima Finger")
    page.get_by_label("E-mail").fill("fatima@example.com")
    page.wait_for_timeout(2500)
    page.get_by_role("button", name="Book this time").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are booked")
    look("booked")
    page.get_by_role("link", name="Choose another time").click()
    look("another time")
    page.locator(".time").last.click()
    look("asks before it moves")
    page.get_by_role("button", name="Move it").click()
    page.get_by_role("link", name="Cancel the booking").click()
    look("asks before it cancels")
    page.get_by_role("button", name="Yes, cancel it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Cancelled")
    look("cancelled")
    assert not wrong, "\n".join(wrong)
