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
