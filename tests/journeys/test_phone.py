"""A phone's width: one pane at a time, a way back, nothing that scrolls sideways."""

import re

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Open
from tests.journeys.looks import overflow

SCREENS = (
    "/agency/accounts",
    "/agency/people",
    "/agency/audit",
    "/a/luna-yoga/inbox",
    "/a/luna-yoga/contacts",
    "/a/luna-yoga/snippets",
    "/a/luna-yoga/settings/connections",
    "/a/luna-yoga/settings/account",
    "/a/luna-yoga/settings/people",
    "/a/luna-yoga/settings/fields",
    "/a/luna-yoga/settings/notices",
    "/a/luna-yoga/settings/calendars",
    "/a/luna-yoga/settings/hours",
    "/a/luna-yoga/calendar",
    "/a/luna-yoga/bookings",
    "/agency/connections",
    "/book/luna-yoga",
    "/book/luna-yoga/private-lesson",
    "/account",
)


def test_read_and_answer_with_one_thumb(open_browser: Open) -> None:
    page = open_browser("ana", width=390, height=780)
    page.goto("/a/luna-yoga/inbox?tab=all")
    page.locator(".talk-link", has_text="Chloe Anderson").click()
    field = page.get_by_label("Message to Chloe Anderson")
    expect(field).to_be_visible()
    expect(page.locator(".list-pane")).not_to_be_visible()
    field.fill("Yes, tonight is open level!")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".bubble-out").last).to_contain_text("Yes, tonight is open level!")
    assert overflow(page) <= 0
    page.get_by_label("Back to the list").click()
    expect(page).to_have_url(re.compile(r"/inbox(\?|$)"))
    expect(page.locator(".list-pane")).to_be_visible()


@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_scrolls_sideways(open_browser: Open, screen: str) -> None:
    page = open_browser("ana", width=390, height=780)
    page.goto(screen)
    assert overflow(page) <= 0
