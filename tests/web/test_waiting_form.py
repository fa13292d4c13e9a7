"""The form with which a guest joins the waiting list."""

import time_machine
from flask.testing import FlaskClient

from tests.factories import Cast
from tests.web.booking_rows import AT, make_calendar, page_of, token_in


def test_one_of_two_ways_is_asked_for_and_neither_is_called_optional(client: FlaskClient, cast: Cast) -> None:
    with time_machine.travel(AT, tick=False) as clock:
        full = make_calendar(cast, kind="class", seats=1, has_waitlist=True)
        address = page_of(full, "/waitlist")
        asked = client.get(address)
        assert "one of the two is enough" in asked.text and ">optional<" not in asked.text
        clock.shift(10)
        values = {"form": token_in(asked), "name": "Rosa Diaz"}
        refused = client.post(address, data=values)
        assert refused.status_code == 422
        assert (
            "Give an e-mail address or a phone number" in refused.text and 'value="Rosa Diaz"' in refused.text
        )
        joined = client.post(address, data={**values, "phone": "(415) 555-0101"}, follow_redirects=True)
        assert "You are on the waiting list" in joined.text


def test_a_day_with_free_places_is_shown_instead_of_its_waiting_list(client: FlaskClient, cast: Cast) -> None:
    with time_machine.travel(AT, tick=False):
        calendar = make_calendar(cast, has_waitlist=True)
        led = client.get(page_of(calendar, "/waitlist"), query_string={"day": "2026-03-05"})
        assert led.status_code == 303 and "day=2026-03-05" in led.location and "waitlist" not in led.location
        assert "Thursday, March 5, 2026" in client.get(led.location).text
        closed = client.get(page_of(calendar, "/waitlist"), query_string={"day": "2026-03-07"})
        assert closed.status_code == 200 and "Wait for a place" in closed.text
