"""Round robin: which of the free hosts gets the next appointment.

Fair means: whoever has the fewest appointments of this calendar for their weight, those ahead and those of the past
30 days counted, cancelled ones not. Of equals, whoever was not chosen for longest; then the order of the settings. Decided
under the locks of the hosts, so that two bookings at once are not both given to the one who was behind.

Somebody new begins with none and catches up first; a weight below the others' slows that down.
"""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models.booking import Appointment, AppointmentHost
from app.models.calendar import Calendar, CalendarHost

LOOK_BACK = timedelta(days=30)
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def choose(session: Session, calendar: Calendar, free: Sequence[uuid.UUID], at: datetime) -> uuid.UUID:
    """One of `free`, which is not empty."""
    if len(free) == 1:
        return free[0]
    weights = {
        row.user_id: (row.weight, row.position)
        for row in session.scalars(
            select(CalendarHost).where(
                CalendarHost.calendar_id == calendar.id, CalendarHost.user_id.in_(free)
            )
        )
    }
    counts = {
        user_id: (count, last)
        for user_id, count, last in session.execute(
            select(AppointmentHost.user_id, func.count(), func.max(AppointmentHost.created_at))
            .join(Appointment, Appointment.id == AppointmentHost.appointment_id)
            .where(
                Appointment.calendar_id == calendar.id,
                Appointment.starts_at >= at - LOOK_BACK,
                Appointment.state != "cancelled",
                AppointmentHost.user_id.in_(free),
            )
            .group_by(AppointmentHost.user_id)
        )
    }

    def turn(user_id: uuid.UUID) -> tuple[float, datetime, int, uuid.UUID]:
        weight, position = weights.get(user_id, (1, 0))
        count, last = counts.get(user_id, (0, _NEVER))
        return count / weight, last, position, user_id

    return min(free, key=turn)
