"""Without a mouse: sign in, open a conversation, answer, close it.

Among those of Eli himself: other journeys make conversations with people who have no phone number.
"""

import re

from playwright.sync_api import Route, expect

from tests.journeys.conftest import PASSWORD, Open


def test_from_sign_in_to_a_closed_conversation(open_browser: Open) -> None:
    page = open_browser()
    page.goto("/sign-in")
    expect(page.get_by_label("E-mail")).to_be_focused()
    page.keyboard.type("eli@demo.test")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/a/harbor-plumbing/inbox"))

    page.goto("/a/harbor-plumbing/inbox?tab=mine")
    expect(page.locator(".talk").first).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/inbox/c/"))
    field = page.locator("#composer-body")
    expect(field).to_be_visible()
    page.keyboard.press("r")
    expect(field).to_be_focused()
    page.keyboard.type("On it, see you at 3.")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".bubble-out").last).to_contain_text("On it, see you at 3.")
    page.keyboard.press("Escape")
    page.keyboard.press("e")
    expect(page.locator(".event-line").last).to_contain_text("closed this")
    expect(page.get_by_role("button", name="Reopen")).to_be_visible()
    # The poll may have shown it before the deed's own answer is in, and a button sends one request at a time.
    expect(page.locator(".htmx-request")).to_have_count(0)
    page.keyboard.press("e")
    expect(page.locator(".event-line").last).to_contain_text("reopened this")


def test_the_answer_to_a_text_does_not_bring_back_whoever_left_the_composer(open_browser: Open) -> None:
    page = open_browser("eli")
    page.goto("/a/harbor-plumbing/inbox?tab=mine")
    page.locator(".talk-link").first.click()
    field = page.locator("#composer-body")
    field.fill("Back in a minute.")
    held: list[Route] = []
    page.route(re.compile("/messages$"), lambda route: held.append(route))
    page.keyboard.press("Control+Enter")
    expect(field).not_to_be_editable()
    page.keyboard.press("Escape")
    expect(field).not_to_be_focused()
    held[0].continue_()
    expect(page.locator(".bubble-out").last).to_contain_text("Back in a minute.")
    expect(field).to_be_editable()
    expect(field).not_to_be_focused()
    page.keyboard.press("s")
    expect(field).to_have_value("")


def test_the_palette_finds_accounts(open_browser: Open) -> None:
    page = open_browser("ana")
    page.goto("/agency/accounts")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette-input")).to_be_focused()
    page.keyboard.type("luna")
    expect(page.locator("#palette-list a[role=option]").first).to_contain_text("Luna Yoga Studio")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/a/luna-yoga/"))
