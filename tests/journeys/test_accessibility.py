"""axe-core on every screen, light and dark, wide and narrow: nothing serious, nothing critical."""

import pytest

from app.models.account import BRAND_COLOURS
from tests.journeys.conftest import Open, Stack
from tests.journeys.looks import problems

SIGNED_OUT = (
    "/sign-in",
    "/reset",
    "/book/bright-smile-dental",
    "/book/bright-smile-dental/call-about-a-treatment",
    "/book/luna-yoga/vinyasa-class",
    "/book/luna-yoga/vinyasa-class/waitlist",
    "/book/luna-yoga?embed=1",
    "/book/luna-yoga/private-lesson?embed=1",
)
SIGNED_IN = (
    "/agency/accounts",
    "/agency/accounts/new",
    "/agency/people",
    "/agency/people/invite",
    "/agency/audit",
    "/a/harbor-plumbing/inbox?tab=all",
    "/a/harbor-plumbing/inbox/new",
    "/a/harbor-plumbing/contacts",
    "/a/harbor-plumbing/contacts/new",
    "/a/harbor-plumbing/snippets",
    "/a/harbor-plumbing/snippets/new",
    "/a/harbor-plumbing/settings/connections",
    "/a/harbor-plumbing/settings/connections/new",
    "/a/harbor-plumbing/settings/account",
    "/a/harbor-plumbing/settings/people",
    "/a/harbor-plumbing/settings/fields",
    "/a/harbor-plumbing/settings/notices",
    "/a/harbor-plumbing/settings/calendars",
    "/a/harbor-plumbing/settings/hours",
    "/a/harbor-plumbing/settings/calendars/new",
    "/a/harbor-plumbing/settings/hours/new",
    "/a/harbor-plumbing/settings/hours/rehearsal",
    "/a/harbor-plumbing/calendar",
    "/a/harbor-plumbing/calendar?view=day",
    "/a/harbor-plumbing/calendar?view=month",
    "/a/harbor-plumbing/calendar?view=list",
    "/a/harbor-plumbing/bookings",
    "/a/harbor-plumbing/bookings/new",
    "/a/harbor-plumbing/bookings/waiting",
    "/a/harbor-plumbing/settings/linked-calendars",
    "/a/harbor-plumbing/connect/google",
    "/agency/connections",
    "/agency/operations",
    "/agency/operations/events",
    "/agency/operations/outgoing",
    "/account",
)
LOOKS = (("light", 1280), ("dark", 390))


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_signed_out(open_browser: Open, scheme: str, width: int) -> None:
    page = open_browser(width=width, scheme=scheme)
    wrong = []
    for screen in SIGNED_OUT:
        page.goto(screen)
        wrong += [f"{screen}: {each}" for each in problems(page)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_booking_in_every_colour(open_browser: Open, scheme: str, width: int) -> None:
    """Whatever colour a business chose, its customers can read what is drawn with it."""
    page = open_browser(width=width, scheme=scheme)
    wrong = []
    page.goto("/book/luna-yoga/private-lesson")
    details = page.locator(".time").first.get_attribute("href") or ""
    for screen in ("/book/luna-yoga/private-lesson", details):
        page.goto(screen)
        for colour in BRAND_COLOURS:
            page.evaluate("name => { document.documentElement.className = `js brand-${name}`; }", colour)
            wrong += [f"{screen} in {colour}: {each}" for each in problems(page)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_signed_in(open_browser: Open, scheme: str, width: int) -> None:
    page = open_browser("ana", width=width, scheme=scheme)
    wrong = []
    for screen in SIGNED_IN:
        page.goto(screen)
        wrong += [f"{screen}: {each}" for each in problems(page)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
@pytest.mark.parametrize(
    ("account", "name"),
    [
        ("harbor-plumbing", "Jerome Wallace"),
        ("bright-smile-dental", "Peter Novak"),
        ("luna-yoga", "Isabel Cruz"),
    ],
)
def test_a_conversation(open_browser: Open, scheme: str, width: int, account: str, name: str) -> None:
    """With a picture, with a refused text, with a scheduled one; then the answer to "why?"."""
    page = open_browser("ana", width=width, scheme=scheme)
    page.goto(f"/a/{account}/inbox?tab=all")
    page.locator(".talk-link", has_text=name).click()
    page.get_by_label(f"Message to {name}").wait_for()
    wrong = problems(page)
    page.locator(".bubble-why").last.click()
    page.locator(".why-steps").wait_for()
    wrong += problems(page)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_a_contact(open_browser: Open, scheme: str, width: int) -> None:
    page = open_browser("ana", width=width, scheme=scheme)
    page.goto("/a/harbor-plumbing/contacts?q=jerome")
    page.goto(page.locator("a[href*='/contacts/0']").first.get_attribute("href") or "")
    assert not problems(page)


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_the_simulator(open_browser: Open, stack: Stack, scheme: str, width: int) -> None:
    page = open_browser(width=width, scheme=scheme)
    wrong = []
    for screen in ("/", "/panel", "/mail"):
        page.goto(stack.simulator + screen)
        page.wait_for_timeout(300)
        wrong += [f"{screen}: {each}" for each in problems(page)]
    assert not wrong, "\n".join(wrong)
