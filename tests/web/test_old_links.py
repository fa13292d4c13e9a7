"""Links to a time that has gone by, as they lie in old mails and open tabs."""

import time_machine
from flask.testing import FlaskClient

from tests.factories import Cast
from tests.web.booking_rows import AT, make_calendar, page_of

# The day before, at 10 in New York, and the day after.
GONE, TO_COME = "20260303T150000Z", "20260305T150000Z"


def test_nobody_fills_in_a_form_for_a_time_that_has_gone_by(client: FlaskClient, cast: Cast) -> None:
    with time_machine.travel(AT, tick=False):
        visit = make_calendar(cast)
        answer = client.get(page_of(visit, "/details"), query_string={"at": GONE, "zone": "Europe/Berlin"})
        assert answer.status_code == 303
        assert answer.location.startswith(page_of(visit)) and "/details" not in answer.location
        assert "zone=Europe" in answer.location
        assert client.get(answer.location).status_code == 200
        assert client.get(page_of(visit, "/details"), query_string={"at": TO_COME}).status_code == 200
