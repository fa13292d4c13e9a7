"""What the tooltip of a time adds: the reader's own clock, but only where it shows another time."""

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Open


@pytest.mark.parametrize(
    ("zone", "differs"), [("America/Chicago", False), ("Europe/Berlin", True), ("Pacific/Honolulu", True)]
)
def test_a_reader_elsewhere_sees_their_own_time(open_browser: Open, zone: str, *, differs: bool) -> None:
    page = open_browser("eli", zone=zone)
    page.goto("/a/harbor-plumbing/inbox?tab=all")
    page.locator(".talk-link", has_text="Jerome Wallace").click()
    expect(page.get_by_label("Message to Jerome Wallace")).to_be_visible()
    titles = [each.get_attribute("title") or "" for each in page.locator(".bubble-row time[title]").all()]
    assert len(titles) >= 4
    assert all(each.endswith(f"for you ({zone})") is differs for each in titles), titles
