"""Two people in one conversation: each sees what the other does, without reloading."""

import time

from playwright.sync_api import expect

from tests.journeys.conftest import Open

# Promised are 2 s; the machine of the tests may be busy with four other things.
SOON_MS = 4_000


def test_each_sees_the_others_reply(open_browser: Open) -> None:
    ben, cleo = open_browser("ben"), open_browser("cleo")
    for page in (ben, cleo):
        page.goto("/a/bright-smile-dental/inbox?tab=all")
        page.locator(".talk-link", has_text="Maya Thompson").click()
        expect(page.get_by_label("Message to Maya Thompson")).to_be_visible()
    for writer, reader, words in (
        (ben, cleo, "Yes, we take Delta Dental."),
        (cleo, ben, "And parking is behind the house."),
    ):
        said = f"{words} {time.monotonic_ns()}"
        writer.get_by_label("Message to Maya Thompson").fill(said)
        writer.get_by_role("button", name="Send", exact=True).click()
        expect(writer.locator(".bubble-out", has_text=said)).to_have_count(1)
        expect(reader.locator(".bubble-out", has_text=said)).to_have_count(1, timeout=SOON_MS)


def test_a_comment_is_for_the_team_only(open_browser: Open) -> None:
    ben, cleo = open_browser("ben"), open_browser("cleo")
    for page in (ben, cleo):
        page.goto("/a/bright-smile-dental/inbox?tab=all")
        page.locator(".talk-link", has_text="Hannah Weiss").click()
    words = f"She prefers mornings {time.monotonic_ns()}"
    ben.get_by_label("Comment", exact=True).check()
    ben.get_by_label("Message to Hannah Weiss").fill(words)
    ben.get_by_label("Message to Hannah Weiss").press("Control+Enter")
    note = cleo.locator(".bubble-comment", has_text=words)
    expect(note).to_contain_text("Only your team sees this", timeout=SOON_MS)
