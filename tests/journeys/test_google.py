"""Google as the people around a booking live it: the host moves an event there, and takes the access back and gives it again.

All of it is about Eli of Harbor Plumbing and his video estimates, which no other journey touches. What happens between two
servers is looked for by reloading, within a bound.
"""

import re
import time
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from playwright.sync_api import Locator, Page, expect

from tests.journeys.conftest import Open, Stack
from tests.journeys.looks import overflow, problems
from tests.journeys.test_booking import fill_in, first_time, wait_as_people_do

HOST = "eli@demo.test"
ZONE = "America/Chicago"
CALENDAR = "/book/harbor-plumbing/video-estimate"
SETTINGS = "/a/harbor-plumbing/settings"
# What a push, a sync and a mail may take together on a machine where other tests run as well.
WITHIN_S = 60


def reload_until(page: Page, wanted: Callable[[], Locator]) -> Locator:
    """The first that is found, as somebody finds it who presses reload now and then."""
    deadline = time.monotonic() + WITHIN_S
    while wanted().count() == 0:
        assert time.monotonic() < deadline, f"{page.url} did not come to show it:\n{page.inner_text('main')}"
        page.wait_for_timeout(500)
        page.reload()
    return wanted().first


def ask_for_a_time(page: Page, name: str, *, day: int) -> datetime:
    """A video estimate, which the host has to accept. The page shows the request afterwards."""
    page.goto(CALENDAR)
    first_time(page, day=day)
    fill_in(page, name, f"{name.split()[0].lower()}@example.com", "")
    wait_as_people_do(page)
    page.get_by_role("button", name="Ask for this time").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your request is on its way")
    return time_on(page)


def time_on(ticket: Page) -> datetime:
    shown = ticket.locator(".ticket-time time").get_attribute("datetime")
    return datetime.fromisoformat(shown or "").astimezone(ZoneInfo(ZONE))


def accept(page: Page, name: str) -> None:
    page.goto("/a/harbor-plumbing/bookings?tab=requests")
    page.locator(".booking-row", has_text=name).get_by_role("button", name="Accept").click()
    expect(page.locator(".booking-row", has_text=name)).to_have_count(0)


def event_at_google(page: Page, stack: Stack, name: str, at: datetime) -> Locator:
    """The event in the week of the host's own calendar, once it is there."""
    page.goto(f"{stack.simulator}/calendars/{HOST}?week={at.date()}")
    return reload_until(page, lambda: page.locator(".event.by-app", has_text=name))


def letter(page: Page, stack: Stack, recipient: str, subject: str) -> Locator:
    page.goto(f"{stack.simulator}/mail")
    wanted = page.locator("#letters a", has_text=recipient).filter(has_text=subject)
    reload_until(page, lambda: wanted).click()
    return page.locator(".letter .text")


def card(page: Page) -> Locator:
    return page.locator(".connection", has_text=HOST)


def test_the_host_moves_the_event_in_google(open_browser: Open, stack: Stack) -> None:
    guest, host, google = open_browser(width=390, zone=ZONE), open_browser("eli"), open_browser()
    before = ask_for_a_time(guest, "Mona Moved", day=7)
    accept(host, "Mona Moved")

    event_at_google(google, stack, "Mona Moved", before).click()
    form = google.locator("#event form")
    form.get_by_label("From").fill("18:10")
    form.get_by_label("To", exact=True).fill("18:40")
    form.get_by_role("button", name="Save").click()
    moved = google.locator(".event.by-app", has_text="Mona Moved")
    expect(moved).to_contain_text(re.compile("18:10|6:10"))

    after = before.replace(hour=18, minute=10)
    reload_until(guest, lambda: guest.locator(".ticket-time", has_text="6:10"))
    assert time_on(guest) == after
    expect(letter(google, stack, "mona@example.com", "New time: Video estimate")).to_contain_text("6:10")

    # What came from Google is not written there once more, nor does it come back as another change.
    event_at_google(google, stack, "Mona Moved", after)
    expect(moved).to_have_count(1)
    guest.reload()
    assert time_on(guest) == after


def test_access_is_taken_back_and_given_again_by_a_link(open_browser: Open, stack: Stack) -> None:
    guest, host, google = open_browser(width=390, zone=ZONE), open_browser("eli"), open_browser()
    take_back(google, stack)
    host.goto(f"{SETTINGS}/connections")
    card(host).get_by_role("button", name="Test").click()
    expect(card(host)).to_contain_text("Access withdrawn")
    assert not problems(host)
    for path in ("calendar", "bookings", "settings/calendars"):
        host.goto(f"/a/harbor-plumbing/{path}")
        assert not problems(host) and not overflow(host), path
        banner = host.locator(".banner", has_text=f"Access to Google was withdrawn for {HOST}")
        expect(banner).to_contain_text("come in as requests")
        expect(banner.get_by_role("link", name="Reconnect")).to_be_visible()
    host.goto(f"{SETTINGS}/linked-calendars")
    expect(host.locator(".notice", has_text="as requests")).to_be_visible()
    assert not problems(host)
    host.goto("/a/harbor-plumbing/inbox")
    expect(host.locator(".banner", has_text="Google")).to_have_count(0)

    meanwhile = ask_for_a_time(guest, "Wanda Waits", day=9)
    accept(host, "Wanda Waits")
    guest.reload()
    expect(guest.get_by_role("heading", level=1)).to_have_text("You are booked")

    send_the_link(open_browser("ana"))
    reconnect_by_mail(open_browser(width=390), stack)

    host.goto(f"{SETTINGS}/connections")
    expect(card(host)).to_contain_text("Connected")
    expect(host.locator(".banner", has_text="Google")).to_have_count(0)
    event_at_google(google, stack, "Wanda Waits", meanwhile)


def take_back(page: Page, stack: Stack) -> None:
    page.goto(f"{stack.simulator}/calendars")
    person = page.locator(".person", has_text=HOST)
    person.get_by_role("button", name="Take access back").click()
    expect(person).to_contain_text("No app has access.")


def send_the_link(board: Page) -> None:
    board.goto("/agency/connections?show=broken")
    cell = board.locator(".board-connection", has_text=HOST)
    expect(cell).to_contain_text("Access withdrawn")
    cell.get_by_role("button", name="Send reconnect link").click()
    expect(cell).to_contain_text(f"Link sent to {HOST}")


def reconnect_by_mail(phone: Page, stack: Stack) -> None:
    """Eli on his phone, signed in nowhere."""
    text = letter(phone, stack, HOST, "please reconnect Google")
    link = text.get_by_role("link").filter(has_text="/reconnect/").get_attribute("href")
    assert link
    phone.goto(link)
    expect(phone.get_by_role("heading", level=1)).to_have_text("Reconnect Google")
    phone.get_by_role("button", name="Continue to Google").click()
    expect(phone.get_by_role("radio", name=HOST)).to_be_checked()
    phone.get_by_role("button", name="Allow").click()
    expect(phone.get_by_role("heading", level=1)).to_have_text("All is connected again")
    expect(phone.locator(".lead")).to_contain_text("Harbor Plumbing")
    # It works once, even for whoever finds it in the mailbox afterwards. Its answer is a 404, which a page of a journey
    # may not show, so it is asked for without one.
    assert phone.request.get(link).status == 404
