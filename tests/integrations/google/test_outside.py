"""What a host does to our events in Google, and what that does to the bookings."""

from collections.abc import Callable
from uuid import UUID

import pytest

from app.core import tenancy
from app.core.clock import now
from app.core.errors import Invalid
from app.domain import calendar_channel, outside_changes
from app.domain.booking.book import SlotTaken
from app.integrations import calendars
from app.models.booking import Appointment
from app.models.connection import Connection
from app.models.message import Message
from app.models.notice import BookingNotice
from tests.conftest import run_jobs
from tests.factories import Cast
from tests.google import Google, busy_of, due_now, linked_of
from tests.integrations.google.rows import appointment_of, book_at, bookings_of, make_calendar

SLOT, LATER = "2026-03-03T15:00", "2026-03-03T19:00"
LATER_END = "2026-03-03T19:45"

Booked = Callable[..., UUID]


@pytest.fixture
def booked(google: Google, connection: Connection, cast: Cast) -> Booked:
    def make(**values: object) -> UUID:
        appointment_id = book_at(make_calendar(cast, **values), SLOT)
        run_jobs()
        look(connection)
        return appointment_id

    return make


def look(connection: Connection) -> None:
    due_now(linked_of(connection).id)
    calendars.look(linked_of(connection).id)


def event(appointment_id: UUID) -> str:
    return calendar_channel.event_ref_of(appointment_id)


def notices(cast: Cast) -> list[str]:
    with tenancy.session_for(cast.account.id) as session:
        return [row.state for row in session.query(BookingNotice).order_by(BookingNotice.created_at)]


def lines(cast: Cast) -> list[str]:
    with tenancy.session_for(cast.account.id) as session:
        rows = session.query(Message).filter(Message.kind == "event").order_by(Message.created_at)
        return [row.body.partition(" First")[0] for row in rows]


def starts(cast: Cast, appointment_id: UUID) -> str:
    return appointment_of(cast.account, appointment_id).starts_at.isoformat()[:16]


def test_our_own_writing_comes_back_unnoticed(
    google: Google, connection: Connection, cast: Cast, booked: Booked
) -> None:
    appointment_id = booked()
    assert busy_of(cast.account, cast.ben) == []
    row = appointment_of(cast.account, appointment_id)
    assert (row.revision, row.event_state, row.asked_change) == (row.event_revision, "written", None)


def test_a_moved_event_moves_the_booking_and_tells_the_guest(
    google: Google, connection: Connection, cast: Cast, booked: Booked
) -> None:
    appointment_id = booked()
    told = len(notices(cast))
    google.move(cast.ben, event(appointment_id), LATER, LATER_END)
    look(connection)
    row = appointment_of(cast.account, appointment_id)
    assert (starts(cast, appointment_id), row.ends_at.isoformat()[:16]) == (LATER, LATER_END)
    assert bookings_of(cast.account, appointment_id)[0].starts_at == row.starts_at
    assert "Moved" in lines(cast)[-1] and len(notices(cast)) > told
    run_jobs()
    # Our answer to it is recognised in turn.
    revision = appointment_of(cast.account, appointment_id).revision
    look(connection)
    assert appointment_of(cast.account, appointment_id).revision == revision
    assert len(google.alive(cast.ben)) == 1


def test_a_deleted_event_cancels_the_booking(
    google: Google, connection: Connection, cast: Cast, booked: Booked
) -> None:
    appointment_id = booked()
    google.delete(cast.ben, event(appointment_id))
    look(connection)
    [booking] = bookings_of(cast.account, appointment_id)
    assert (booking.state, booking.cancelled_by) == ("cancelled", "calendar")
    run_jobs()
    assert google.alive(cast.ben) == []
    assert appointment_of(cast.account, appointment_id).event_state == "none"


def test_words_and_colours_are_the_hosts_own(
    google: Google, connection: Connection, cast: Cast, booked: Booked
) -> None:
    appointment_id = booked()
    before = appointment_of(cast.account, appointment_id)
    google.change(cast.ben, event(appointment_id), summary="Ours", description="X", colorId="3")
    look(connection)
    after = appointment_of(cast.account, appointment_id)
    assert (after.revision, after.event_state) == (before.revision, "written")
    assert after.event_etag != before.event_etag


def test_asked_first_and_accepted(google: Google, connection: Connection, cast: Cast, booked: Booked) -> None:
    appointment_id = booked(when_moved="ask")
    google.move(cast.ben, event(appointment_id), LATER, LATER_END)
    look(connection)
    look(connection)
    row = appointment_of(cast.account, appointment_id)
    assert starts(cast, appointment_id) == SLOT
    assert row.asked_change is not None and row.asked_change["starts_at"].startswith(LATER)
    assert len([line for line in lines(cast) if line.startswith("Changed at Google")]) == 1
    with tenancy.session_for(cast.account.id) as session:
        outside_changes.accept(session, session.get_one(Appointment, appointment_id), cast.actor(cast.ben))
        session.commit()
    assert starts(cast, appointment_id) == LATER
    assert appointment_of(cast.account, appointment_id).asked_change is None


def test_asked_first_and_undone(google: Google, connection: Connection, cast: Cast, booked: Booked) -> None:
    appointment_id = booked(when_moved="ask")
    google.delete(cast.ben, event(appointment_id))
    look(connection)
    row = appointment_of(cast.account, appointment_id)
    assert row.asked_change is not None and row.asked_change["what"] == "deleted"
    with tenancy.session_for(cast.account.id) as session:
        outside_changes.undo(session, session.get_one(Appointment, appointment_id), now())
        session.commit()
    run_jobs()
    [there] = google.alive(cast.ben)
    assert there["id"] == event(appointment_id)
    look(connection)
    assert appointment_of(cast.account, appointment_id).asked_change is None


def test_ignored_changes_are_written_back(
    google: Google, connection: Connection, cast: Cast, booked: Booked
) -> None:
    appointment_id = booked(when_moved="ignore")
    google.move(cast.ben, event(appointment_id), LATER, LATER_END)
    look(connection)
    run_jobs()
    assert starts(cast, appointment_id) == SLOT
    [there] = google.alive(cast.ben)
    assert there["start"]["dateTime"][:16] in (SLOT, "2026-03-03T10:00")


def test_onto_another_booking_nobody_is_moved_silently(
    google: Google, connection: Connection, cast: Cast, booked: Booked
) -> None:
    appointment_id = booked()
    book_at(make_calendar(cast), LATER)
    google.move(cast.ben, event(appointment_id), LATER, LATER_END)
    look(connection)
    row = appointment_of(cast.account, appointment_id)
    assert starts(cast, appointment_id) == SLOT and row.asked_change is not None
    with tenancy.session_for(cast.account.id) as session, pytest.raises(SlotTaken):
        outside_changes.accept(session, session.get_one(Appointment, appointment_id), cast.actor(cast.ben))


def test_a_whole_day_is_written_back(
    google: Google, connection: Connection, cast: Cast, booked: Booked
) -> None:
    appointment_id = booked(when_moved="ignore")
    google.change(cast.ben, event(appointment_id), colorId="3")
    google.move(cast.ben, event(appointment_id), "2026-03-03", "2026-03-04")
    look(connection)
    run_jobs()
    [there] = google.alive(cast.ben)
    assert (there["start"]["dateTime"][:16], there["colorId"]) == (SLOT, "3")
    row = appointment_of(cast.account, appointment_id)
    assert (row.event_state, row.event_error) == ("written", None)


def test_a_whole_day_is_asked_about(
    google: Google, connection: Connection, cast: Cast, booked: Booked
) -> None:
    appointment_id = booked()
    google.move(cast.ben, event(appointment_id), "2026-03-03", "2026-03-04")
    look(connection)
    asked = appointment_of(cast.account, appointment_id).asked_change
    assert asked is not None and asked["is_all_day"]


@pytest.mark.parametrize(
    ("start", "end", "possible"),
    [
        # No length at all, which Google allows.
        (LATER, LATER, False),
        # Last week, and this morning: nobody can be told to come then.
        ("2026-02-20T15:00", "2026-02-20T15:30", True),
        ("2026-03-02T11:00", "2026-03-02T12:30", True),
    ],
)
def test_where_no_guest_can_be_told_to_come_the_hosts_are_asked(
    google: Google,
    connection: Connection,
    cast: Cast,
    booked: Booked,
    start: str,
    end: str,
    possible: bool,
) -> None:
    appointment_id = booked()
    told = len(notices(cast))
    google.move(cast.ben, event(appointment_id), start, end)
    look(connection)
    asked = appointment_of(cast.account, appointment_id).asked_change
    assert asked is not None and asked["starts_at"].startswith(start)
    assert (starts(cast, appointment_id), len(notices(cast))) == (SLOT, told)
    assert linked_of(connection).sync_error is None
    with tenancy.session_for(cast.account.id) as session:
        row = session.get_one(Appointment, appointment_id)
        if possible:
            outside_changes.accept(session, row, cast.actor(cast.ben))
            assert row.starts_at.isoformat()[:16] == start
        else:
            with pytest.raises(Invalid, match="no length"):
                outside_changes.accept(session, row, cast.actor(cast.ben))


def test_an_event_put_into_another_calendar_takes_its_booking_along(
    google: Google, connection: Connection, cast: Cast, booked: Booked
) -> None:
    google.control("/calendars", email=cast.ben.email, id="work", summary="Work")
    calendars.list_calendars(connection.id)
    appointment_id = booked()
    told = len(notices(cast))
    google.delete(cast.ben, event(appointment_id))
    google.add(cast.ben, SLOT, "2026-03-03T15:30", "work", id=event(appointment_id), summary="Moved over")
    look(connection)
    row = appointment_of(cast.account, appointment_id)
    assert (row.state, row.linked_calendar_id) == ("confirmed", linked_of(connection, "work").id)
    assert len(notices(cast)) == told
    # There it is followed as before.
    google.move(cast.ben, event(appointment_id), LATER, LATER_END, "work")
    calendars.look(linked_of(connection, "work").id)
    assert starts(cast, appointment_id) == LATER
    run_jobs()
    google.delete(cast.ben, event(appointment_id), "work")
    due_now(linked_of(connection, "work").id)
    calendars.look(linked_of(connection, "work").id)
    assert appointment_of(cast.account, appointment_id).state == "cancelled"


def test_a_deletion_that_nobody_told_is_found(
    google: Google, connection: Connection, cast: Cast, booked: Booked
) -> None:
    appointment_id = booked()
    google.delete(cast.ben, event(appointment_id))
    google.control("/forget-syncs", email=cast.ben.email)
    look(connection)
    assert bookings_of(cast.account, appointment_id)[0].state == "cancelled"


def test_a_forged_event_of_another_account_is_only_busy(
    google: Google, connection: Connection, cast: Cast
) -> None:
    # Somebody copies the id of a booking they know into a calendar of their own.
    foreign = calendar_channel.event_ref_of(cast.other_account.id)
    google.add(cast.ben, SLOT, LATER, id=foreign, summary="Not ours")
    look(connection)
    assert [row[2] for row in busy_of(cast.account, cast.ben)] == ["Not ours"]
