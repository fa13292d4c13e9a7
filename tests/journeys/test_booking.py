"""A customer with a phone books, moves and cancels, with and without scripts; and what is in the way of that."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import Open, Stack
from tests.journeys.test_accessibility import problems

CALL = "/book/bright-smile-dental/call-about-a-treatment"


def first_time(page: Page, *, day: int = 0, time: int = 0) -> None:
    """Picks a time in the month after this one, where there are always enough."""
    before = page.locator("#month-name").inner_text()
    page.get_by_label("Later month").click()
    expect(page.locator("#month-name")).not_to_have_text(before)
    days = page.locator(".day.has-times")
    expect(days.first).to_be_visible()
    days.nth(day).click()
    expect(days.nth(day)).to_have_attribute("aria-current", "date")
    # The first day was chosen before the click; its times are swapped all the same.
    expect(page.locator(".htmx-request")).to_have_count(0)
    page.locator(".time").nth(time).click()


def fill_in(page: Page, name: str, email: str, phone: str = "(212) 555-0147") -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("E-mail", exact=False).first.fill(email)
    page.get_by_label("Mobile number").fill(phone)


@contextmanager
def site(page: str) -> Iterator[str]:
    """The web site of a business, on a port of its own, which is another origin."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def wait_as_people_do(page: Page) -> None:
    """Whoever sends the form within two seconds is taken for a program."""
    page.wait_for_timeout(2_100)


@pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without-scripts"])
def test_book_move_and_cancel_on_a_phone(open_browser: Open, scripts: bool) -> None:
    page = open_browser(width=390, height=780, scripts=scripts)
    page.goto("/book/bright-smile-dental")
    page.get_by_role("link", name="Call about a treatment").click()
    first_time(page, day=3 if scripts else 4)
    name = "Theo With" if scripts else "Thea Without"
    fill_in(page, name, f"{name.split()[0].lower()}@example.com")
    wait_as_people_do(page)
    page.get_by_role("button", name="Book this time").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are booked")

    page.get_by_role("link", name="Choose another time").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Another time")
    page.locator(".time").nth(5).click()
    page.get_by_role("button", name="Move it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your new time is booked")

    page.get_by_role("link", name="Cancel the booking").click()
    page.get_by_role("button", name="Yes, cancel it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Cancelled")
    assert page.context.cookies() == []


def test_the_visitors_own_zone_is_shown_and_kept(open_browser: Open) -> None:
    page = open_browser(width=390, zone="Australia/Adelaide")
    page.goto(CALL)
    expect(page.locator("#zone")).to_have_value("Australia/Adelaide")
    expect(page).to_have_url(re.compile("zone=Australia(%2F|/)Adelaide"))
    first_time(page)
    expect(page.locator(".chosen-time")).to_contain_text("Adelaide (GMT+10:30)")


def test_a_zone_that_browsers_call_by_an_old_name(open_browser: Open) -> None:
    """Chromium says Asia/Calcutta and Asia/Katmandu, which are no names of the table any more."""
    for zone, label in (("Asia/Kolkata", "GMT+5:30"), ("Asia/Kathmandu", "GMT+5:45")):
        page = open_browser(width=390, zone=zone)
        own = page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone")
        page.goto(CALL)
        expect(page.locator("#zone")).to_have_value(own)
        expect(page.locator("#zone option:checked")).to_contain_text(label)
        first_time(page)
        expect(page.locator(".chosen-time")).to_contain_text(label)


def test_the_zone_a_visitor_chose_stays_on_the_way_back(open_browser: Open) -> None:
    page = open_browser(width=390, zone="Europe/Berlin")
    page.goto(CALL)
    expect(page.locator("#zone")).to_have_value("Europe/Berlin")
    business = page.evaluate("document.querySelector('[data-zone]').dataset.zone")
    page.locator("#zone").select_option(business)
    expect(page.locator("#picker")).to_have_attribute("data-zone-name", business)
    first_time(page)
    page.get_by_label("Anything we should know?").fill("Second floor")
    page.get_by_role("link", name="Another time").click()
    expect(page.locator("#month-name")).to_be_visible()
    page.wait_for_load_state("networkidle")
    expect(page.locator("#zone")).to_have_value(business)
    expect(page.locator("#picker")).to_have_attribute("data-zone-name", business)
    page.locator(".time").nth(1).click()
    expect(page.get_by_label("Anything we should know?")).to_have_value("Second floor")


def test_a_time_taken_meanwhile_keeps_everything_typed(open_browser: Open) -> None:
    slow, quick = open_browser(width=390), open_browser(width=390)
    for page in (slow, quick):
        page.goto(CALL)
        first_time(page, day=6, time=2)
    fill_in(slow, "Sam Slow", "sam@example.com")
    fill_in(quick, "Quinn Quick", "quinn@example.com", "(212) 555-0148")
    wait_as_people_do(quick)
    quick.get_by_role("button", name="Book this time").click()
    expect(quick.get_by_role("heading", level=1)).to_have_text("You are booked")
    slow.get_by_role("button", name="Book this time").click()
    expect(slow.locator("#taken")).to_contain_text("Somebody else has just booked this time")
    expect(slow.get_by_label("Name")).to_have_value("Sam Slow")
    offered = slow.locator(".nearest button")
    expect(offered).to_have_count(3)
    offered.first.click()
    expect(slow.get_by_role("heading", level=1)).to_have_text("You are booked")


def test_the_page_in_a_frame_of_another_site(open_browser: Open, stack: Stack) -> None:
    """Another origin loads the script that its owner was given; the frame takes the height of what is in it."""
    script = f'src="{stack.url}/static/js/booking/embed.js" data-booking="{stack.url}{CALL}"'
    page = open_browser()
    with site(f"<!doctype html><title>A site</title><body><script {script}></script></body>") as address:
        page.goto(address)
        book_inside(page)


def book_inside(page: Page) -> None:
    inside = page.frame_locator("iframe")
    expect(inside.locator("#month-name")).to_be_visible()
    expect(inside.locator(".book-brand")).to_have_count(0)
    inside.get_by_label("Later month").click()
    inside.locator(".day.has-times").nth(10).click()
    inside.locator(".time").first.click()
    expect(inside.get_by_label("Name")).to_be_visible()
    assert int(page.locator("iframe").get_attribute("height") or 0) != 720


@pytest.mark.parametrize("width", [320, 360])
def test_days_and_times_are_large_enough_on_narrow_phones(open_browser: Open, width: int) -> None:
    page = open_browser(width=width, height=700)
    page.goto(CALL)
    for _ in range(2):
        sizes = page.locator("a.day, a.time, a.step, select, button").evaluate_all(
            "found => found.filter((e) => e.offsetParent).map((e) => [e.getBoundingClientRect(), e])"
            ".filter(([box]) => box.width < 44 || box.height < 44).map(([box, e]) => `${box.width} ${e.outerHTML.slice(0, 80)}`)"
        )
        assert not sizes
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_label("Later month").click()
        expect(page.locator(".htmx-request")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_form_and_the_ticket_are_accessible(open_browser: Open, scheme: str) -> None:
    page = open_browser(width=390, scheme=scheme)
    page.goto(CALL)
    first_time(page, day=8 if scheme == "light" else 9)
    assert not problems(page)
    small = page.evaluate(
        "() => [...document.querySelectorAll('a, button, input:not([type=hidden]), select, textarea')]"
        ".filter((e) => e.offsetParent && !e.closest('.trap, p, .say') && e.getBoundingClientRect().height < 43"
        " && e.type !== 'checkbox' && e.type !== 'radio').map((e) => e.outerHTML.slice(0, 90))"
    )
    assert not small
    fill_in(page, "Ada Able", "ada@example.com", "(212) 555-0149")
    wait_as_people_do(page)
    page.get_by_role("button", name="Book this time").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are booked")
    assert not problems(page)
