"""A new account: the suggestion for its address comes while somebody types already."""

import time

from playwright.sync_api import Page, Route, expect

from tests.journeys.conftest import Open, sign_in


def _form(open_browser: Open, delay_s: float) -> Page:
    page = open_browser()
    sign_in(page, "ana")
    page.goto("/agency/accounts/new")

    def late(route: Route) -> None:
        answer = route.fetch()
        time.sleep(delay_s)
        route.fulfill(response=answer)

    page.route("**/agency/accounts/slug**", late)
    page.locator("[name=name]").fill("Corner Bakery")
    return page


def test_letters_typed_while_the_suggestion_is_on_its_way_stay(open_browser: Open) -> None:
    page = _form(open_browser, 0.8)
    field = page.locator("[name=slug]")
    with page.expect_response("**/agency/accounts/slug**"):
        field.click()
        field.press_sequentially("mine")
    page.wait_for_timeout(300)
    expect(field).to_have_value("mine")
    field.press_sequentially("-too")
    expect(field).to_have_value("mine-too")


def test_letters_typed_after_it_came_replace_the_suggestion(open_browser: Open) -> None:
    page = _form(open_browser, 0.2)
    field = page.locator("[name=slug]")
    page.locator("[name=name]").press("Tab")
    field.focus()
    expect(field).to_have_value("corner-bakery")
    page.wait_for_timeout(200)
    page.keyboard.type("mine")
    expect(field).to_have_value("mine")
