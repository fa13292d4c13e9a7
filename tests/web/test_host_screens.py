"""Every screen of the host's side opens, with nothing in it and with something."""

import pytest
from flask.testing import FlaskClient

from tests.factories import Cast, sign_in
from tests.web.booked import make_booking, make_calendar, make_hours

HOME = "/a/bright-dental"
EMPTY = (
    "/calendar",
    "/calendar?view=day",
    "/calendar?view=month",
    "/calendar?view=list&zone=Asia/Kolkata",
    "/calendar?view=nonsense&on=nonsense&zone=nonsense&people=nonsense",
    "/bookings",
    "/bookings?tab=requests&q=x&calendar=1&host=1&since=x&until=2026-01-01&after=x",
    "/bookings/new",
    "/settings/calendars",
    "/settings/calendars?archived=1",
    "/settings/calendars/new",
    "/settings/hours",
    "/settings/hours/new",
    "/settings/hours/rehearsal",
)
PARTS = ("basics", "times", "hosts", "questions", "place", "guests", "share")


@pytest.mark.parametrize("path", EMPTY)
def test_with_nothing_in_it(client: FlaskClient, cast: Cast, path: str) -> None:
    assert sign_in(client, cast.ana).get(HOME + path).status_code == 200


@pytest.mark.parametrize("kind", ["personal", "round_robin", "collective", "class"])
def test_with_something_in_it(client: FlaskClient, cast: Cast, kind: str) -> None:
    hours = make_hours(cast)
    calendar = make_calendar(cast, "First visit", kind)
    booking = make_booking(cast, calendar, timezone="Asia/Tokyo")
    sign_in(client, cast.ana)
    paths = [
        *EMPTY,
        *(f"/settings/calendars/{calendar.id}/{part}" for part in PARTS),
        f"/settings/calendars/{calendar.id}/why",
        f"/settings/hours/{hours.id}",
        f"/bookings/{booking.id}",
        f"/bookings/{booking.id}/move",
        f"/bookings/new?contact={booking.contact_id}&calendar={calendar.id}&on=2030-01-01&at=10:10",
        f"/calendar/appointments/{booking.appointment_id}",
        f"/calendar/appointments/{booking.appointment_id}/move?to=2030-01-01T10:00",
    ]
    for path in paths:
        for headers in ({}, {"HX-Request": "true"}):
            answer = client.get(HOME + path, headers=headers)
            assert answer.status_code == 200, f"{path}: {answer.text[-2000:]}"
