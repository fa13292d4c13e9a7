"""The first capability from end to end, as somebody lives it who sees the product for the first time."""

import re
import time

from playwright.sync_api import Page, expect

from tests.journeys.conftest import Open, Phones, sign_in


def conversation(page: Page, name: str) -> None:
    page.locator(".talk-link", has_text=name).click()
    expect(page.get_by_role("heading", name=name).first).to_be_visible()


def test_a_customer_texts_and_gets_an_answer(open_browser: Open, phones: Phones) -> None:
    page = open_browser()
    sign_in(page, "ana")
    expect(page.get_by_role("heading", name="Accounts").first).to_be_visible()
    for name in ("Bright Smile Dental", "Harbor Plumbing", "Luna Yoga Studio"):
        expect(page.get_by_role("link", name=name).first).to_be_visible()

    page.get_by_role("link", name="Harbor Plumbing").first.click()
    expect(page).to_have_url(re.compile("/a/harbor-plumbing/inbox"))
    page.locator("a", has_text="All").first.click()

    words = f"It is leaking more now {time.monotonic_ns()}"
    phones.text("Jerome Wallace", words)
    row = page.locator(".talk").first
    expect(row).to_contain_text(words)
    expect(row).to_contain_text("Jerome Wallace")

    conversation(page, "Jerome Wallace")
    expect(page.locator(".bubble-in").last).to_contain_text(words)
    answer = f"Mike is 15 minutes away {time.monotonic_ns()}"
    page.get_by_label("Message to Jerome Wallace").fill(answer)
    page.get_by_role("button", name="Send", exact=True).click()
    bubble = page.locator(".bubble-out").last
    expect(bubble).to_contain_text(answer)
    expect(bubble).to_contain_text("Delivered")
    phones.shows("Jerome Wallace", answer)

    bubble.get_by_text("Why?").click()
    why = page.get_by_role("dialog")
    for step in ("Consent", "Connection", "Queue", "Twilio's answer", "Delivery report"):
        expect(why).to_contain_text(step)


def test_the_states_are_seen_one_after_the_other(open_browser: Open, phones: Phones) -> None:
    page = open_browser("ana")
    page.goto("/a/luna-yoga/inbox?tab=all")
    conversation(page, "Malik Johnson")
    # Whoever has just written is awake: the answer goes whatever the hour.
    phones.text("Malik Johnson", "Hello? Showers?")
    expect(page.locator(".bubble-in").last).to_contain_text("Hello? Showers?")
    page.evaluate(
        """() => {
            window.statesSeen = [];
            const look = () => {
                const all = document.querySelectorAll('.bubble-out .bubble-state');
                const text = all.length ? all[all.length - 1].textContent.trim() : '';
                if (text && window.statesSeen.at(-1) !== text) window.statesSeen.push(text);
            };
            new MutationObserver(look).observe(document.body, {subtree: true, childList: true, characterData: true});
        }"""
    )
    page.get_by_label("Message to Malik Johnson").fill("Yes, two showers and towels at the desk.")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".bubble-out").last).to_contain_text("Delivered")
    seen = page.evaluate("() => window.statesSeen")
    assert seen[-1] == "Delivered"
    assert any(state.startswith("Queued") for state in seen), seen


def test_why_a_text_to_somebody_who_opted_out_was_not_sent(open_browser: Open) -> None:
    page = open_browser("ana")
    page.goto("/a/bright-smile-dental/inbox?tab=all")
    conversation(page, "Peter Novak")
    bubble = page.locator(".bubble-row.state-refused").last
    expect(bubble).to_contain_text("opted out")
    bubble.get_by_text("Why?").click()
    why = page.get_by_role("dialog")
    expect(why).to_contain_text("Consent")
    expect(why).to_contain_text("opted out of texts")
    expect(why).to_contain_text("START")


def test_a_stop_is_obeyed(open_browser: Open, phones: Phones) -> None:
    page = open_browser("ana")
    page.goto("/a/bright-smile-dental/inbox?tab=all")
    conversation(page, "Theo Jackson")
    phones.text("Theo Jackson", "STOP")
    expect(page.locator(".event-line").last).to_contain_text("opted out")
    phones.text("Theo Jackson", "START")
    expect(page.locator(".event-line").last).to_contain_text("opted in")
