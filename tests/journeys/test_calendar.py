"""The host's calendar in a real browser: the drawer, dragging with its question and the way back, keys, and no scripts."""

import re
from datetime import date, timedelta

from playwright.sync_api import Locator, Page, expect

from tests.journeys.conftest import Open

HOME = "/a/harbor-plumbing"


def a_booking_to_come(page: Page) -> Locator:
    """The first block of this week or the next that may be moved."""
    page.goto(f"{HOME}/calendar")
    blocks = page.locator(".cal-block[data-move-url]")
    if not blocks.count():
        page.keyboard.press("ArrowRight")
        expect(page).to_have_url(re.compile("on="))
        expect(blocks.first).to_be_visible()
    return blocks.first


def test_drag_asks_moves_and_goes_back(open_browser: Open) -> None:
    page = open_browser("eli", height=1000)
    block = a_booking_to_come(page)
    name = block.locator(".cal-block-title").inner_text()
    block.click()
    drawer = page.locator("#drawer")
    expect(drawer).to_contain_text("Open the booking")
    page.keyboard.press("Escape")
    expect(drawer).not_to_be_visible()

    block.scroll_into_view_if_needed()
    box = block.bounding_box()
    assert box
    page.mouse.move(box["x"] + 12, box["y"] + 6)
    page.mouse.down()
    page.mouse.move(box["x"] + 12, box["y"] + 40, steps=4)
    page.mouse.move(box["x"] + 12, box["y"] + 66, steps=4)
    page.mouse.up()
    expect(drawer).to_contain_text("Move")
    expect(drawer.get_by_role("checkbox")).to_be_checked()
    page.keyboard.press("Escape")
    expect(page.locator(".is-ghost")).to_have_count(0)

    block.click()
    drawer.get_by_role("link", name="Move").click()
    expect(drawer.locator("#move-to")).to_be_visible()
    drawer.locator("#move-to").fill("2031-05-06T06:05")
    drawer.get_by_role("button", name="Move").click()
    toast = page.locator(".toast-card").first
    expect(toast).to_contain_text("Moved to")
    expect(page.locator(".cal-block", has_text=name)).to_be_visible()
    toast.get_by_role("button", name="Undo").click()
    expect(page.locator(".toast-card").first).to_contain_text("Moved to")
    expect(page).not_to_have_url(re.compile("2031"))


def test_by_keyboard(open_browser: Open) -> None:
    page = open_browser("eli")
    page.goto(f"{HOME}/calendar")
    for key, words in (
        ("m", "view=month"),
        ("d", "view=day"),
        ("ArrowRight", "on="),
        ("l", "view=list"),
        ("w", "view=week"),
    ):
        page.keyboard.press(key)
        expect(page).to_have_url(re.compile(words))
        expect(page.locator(".htmx-request")).to_have_count(0)
    page.keyboard.press("n")
    expect(page).to_have_url(re.compile("/bookings/new"))


def test_without_scripts(open_browser: Open) -> None:
    page = open_browser("eli", width=390)
    cookies = page.context.cookies()
    plain = open_browser(width=390, scripts=False)
    plain.context.add_cookies([{k: v for k, v in each.items() if k != "partitionKey"} for each in cookies])  # type: ignore[misc]
    plain.goto(f"{HOME}/calendar?view=list")
    plain.get_by_role("link", name="Later").click()
    expect(plain).to_have_url(re.compile("on="))
    plain.goto(f"{HOME}/bookings")
    plain.locator(".booking-row .row-link").first.click()
    expect(plain.get_by_role("heading", name="Why?")).to_be_visible()
    plain.goto(f"{HOME}/settings/hours")
    plain.locator(".row-link").first.click()
    rows = plain.locator("#day-6 input").count()
    plain.get_by_role("button", name="Add hours on Sunday").click()
    expect(plain.locator("#day-6 input")).to_have_count(rows + 2)


class Finger:
    """One finger on the screen, as the browser itself hears it."""

    def __init__(self, page: Page) -> None:
        self.page, self.session = page, page.context.new_cdp_session(page)

    def _send(self, kind: str, *points: tuple[float, float]) -> None:
        listed = [{"x": x, "y": y} for x, y in points]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": listed})

    def drag(self, x: float, y: float, down: float, *, hold_ms: int) -> None:
        self._send("touchStart", (x, y))
        self.page.wait_for_timeout(hold_ms)
        for step in range(1, 9):
            self._send("touchMove", (x, y + down * step / 8))
            self.page.wait_for_timeout(20)
        self._send("touchEnd")


def test_a_finger_scrolls_at_once_and_drags_after_a_moment(open_browser: Open) -> None:
    page = open_browser("eli", width=390, height=780)
    # On a phone the week is a list: the day with the booking is opened.
    in_a_week = date.today() + timedelta(days=7)
    page.goto(f"{HOME}/calendar?on={in_a_week}")
    days = page.locator(".cal-block[data-move-url]").evaluate_all(
        "blocks => blocks.map((block) => block.closest('.cal-column').dataset.date)"
    )
    page.goto(f"{HOME}/calendar?view=day&on={days[0]}")
    block = page.locator(".cal-block[data-move-url]").first
    block.scroll_into_view_if_needed()
    box = block.bounding_box()
    hours = page.locator(".cal-scroll")
    assert box
    finger, x, y = Finger(page), box["x"] + 20, box["y"] + 8

    before = hours.evaluate("(hours) => hours.scrollTop")
    finger.drag(x, y, -120, hold_ms=0)
    page.wait_for_timeout(300)
    assert hours.evaluate("(hours) => hours.scrollTop") != before
    expect(page.locator(".is-ghost")).to_have_count(0)
    expect(page.locator("#drawer")).not_to_be_visible()

    hours.evaluate("(hours, top) => { hours.scrollTop = top; }", before)
    finger.drag(x, y, 90, hold_ms=700)
    drawer = page.locator("#drawer")
    expect(drawer.get_by_role("heading", name=re.compile("Move .*"))).to_be_visible()
    assert hours.evaluate("(hours) => hours.scrollTop") == before
    expect(drawer.get_by_role("checkbox")).to_be_checked()
    drawer.get_by_role("button", name="Move").click()
    toast = page.locator(".toast-card").first
    expect(toast).to_contain_text("Moved to")
    toast.get_by_role("button", name="Undo").click()
    expect(page.locator(".toast-card").first).to_contain_text("Moved to")

    # A tap still opens it.
    page.goto(f"{HOME}/calendar?view=day&on={days[0]}")
    page.locator(".cal-block[data-move-url]").first.tap()
    expect(drawer).to_contain_text("Open the booking")
