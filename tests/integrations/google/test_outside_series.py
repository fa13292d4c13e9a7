"""A host makes one of our events repeat, or stops it: the booking stays at the occurrence of its time, the others are busy."""

import pytest

from app.core import tenancy
from app.domain import outside_changes
from app.models.booking import Appointment
from app.models.connection import Connection
from tests.conftest import run_jobs
from tests.factories import Cast
from tests.google import Google, busy_of
from tests.integrations.google.rows import appointment_of, bookings_of
from tests.integrations.google.test_outside import SLOT, Booked, booked, event, lines, look, starts

__all__ = ["booked"]

WEEKLY = ["RRULE:FREQ=WEEKLY;COUNT=3"]
# In New York the clocks change on 8 March.
OTHERS = ["2026-03-10T14:00", "2026-03-17T14:00"]


def busy_starts(cast: Cast) -> list[str]:
    return [row[0] for row in busy_of(cast.account, cast.ben)]


@pytest.mark.parametrize("everything", [False, True])
def test_made_to_repeat_only_the_others_are_busy(
    google: Google, connection: Connection, cast: Cast, booked: Booked, everything: bool
) -> None:
    appointment_id = booked()
    google.change(cast.ben, event(appointment_id), recurrence=WEEKLY)
    if everything:
        google.control("/forget-syncs", email=cast.ben.email)
    look(connection)
    row = appointment_of(cast.account, appointment_id)
    assert (busy_starts(cast), row.asked_change, row.state) == (OTHERS, None, "confirmed")


@pytest.mark.parametrize("rule", ["change", "ignore"])
def test_its_own_occurrence_taken_away_the_hosts_are_asked(
    google: Google, connection: Connection, cast: Cast, booked: Booked, rule: str
) -> None:
    appointment_id = booked(when_moved=rule)
    google.change(cast.ben, event(appointment_id), recurrence=WEEKLY)
    look(connection)
    google.delete(cast.ben, f"{event(appointment_id)}_20260303T150000Z")
    look(connection)
    look(connection)
    asked = appointment_of(cast.account, appointment_id).asked_change
    assert asked is not None and asked["starts_at"].startswith(OTHERS[0])
    assert starts(cast, appointment_id) == SLOT
    assert len([line for line in lines(cast) if line.startswith("Changed at Google")]) == 1


def test_the_whole_series_deleted_cancels_the_booking(
    google: Google, connection: Connection, cast: Cast, booked: Booked
) -> None:
    appointment_id = booked()
    google.change(cast.ben, event(appointment_id), recurrence=WEEKLY)
    look(connection)
    google.delete(cast.ben, event(appointment_id))
    look(connection)
    [booking] = bookings_of(cast.account, appointment_id)
    assert (booking.state, booking.cancelled_by, busy_starts(cast)) == ("cancelled", "calendar", [])


def test_the_series_moved_is_asked_about_and_put_back(
    google: Google, connection: Connection, cast: Cast, booked: Booked
) -> None:
    appointment_id = booked()
    google.change(cast.ben, event(appointment_id), recurrence=WEEKLY)
    google.move(cast.ben, event(appointment_id), "2026-03-04T15:00", "2026-03-04T15:30")
    look(connection)
    assert appointment_of(cast.account, appointment_id).asked_change is not None
    with tenancy.session_for(cast.account.id) as session:
        row = session.get_one(Appointment, appointment_id)
        outside_changes.undo(session, row, row.updated_at)
        session.commit()
    run_jobs()
    look(connection)
    row = appointment_of(cast.account, appointment_id)
    assert (row.asked_change, starts(cast, appointment_id)) == (None, SLOT)
    assert SLOT not in busy_starts(cast)


def test_it_repeats_no_more(google: Google, connection: Connection, cast: Cast, booked: Booked) -> None:
    appointment_id = booked()
    google.change(cast.ben, event(appointment_id), recurrence=WEEKLY)
    look(connection)
    google.change(cast.ben, event(appointment_id), recurrence=None)
    look(connection)
    row = appointment_of(cast.account, appointment_id)
    assert (row.state, row.asked_change, busy_starts(cast)) == ("confirmed", None, [])
