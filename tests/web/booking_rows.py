"""A calendar to book, and what a guest types."""

import re
from datetime import datetime, timedelta
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.core import tenancy
from app.core.clock import now
from app.domain.booking import calendars
from app.models.calendar import Calendar
from app.models.user import User
from tests.factories import Cast

# A Wednesday, 10 in the morning in New York.
AT = datetime.fromisoformat("2026-03-04T15:00:00+00:00")
ROSA = {"name": "Rosa Diaz", "email": "rosa@example.com", "phone": "(415) 555-0101"}


def make_calendar(
    cast: Cast, *hosts: User, kind: str = "personal", duration: int = 30, **values: Any
) -> Calendar:
    """Mondays to Fridays, 9 to 5 in New York, like a new calendar; Ben hosts it unless others are named."""
    with tenancy.session_for(cast.account.id) as session:
        made = calendars.create(
            session,
            cast.actor(cast.ana),
            cast.account,
            name=values.pop("name", "First visit"),
            kind=kind,
            duration=duration,
            host_ids=[host.id for host in hosts or (cast.ben,)],
        )
        for name, value in values.items():
            setattr(made, name, value)
        session.commit()
        session.refresh(made, ["hosts"])
        session.expunge_all()
    return made


def page_of(calendar: Calendar, path: str = "", business: str = "bright-dental") -> str:
    return f"/book/{business}/{calendar.slug}{path}"


def token_in(answer: TestResponse) -> str:
    found = re.search(r'name="form" value="([^"]+)"', answer.text)
    assert found, answer.text
    return found[1]


def open_form(client: FlaskClient, calendar: Calendar, at: str, **query: str) -> tuple[TestResponse, str]:
    answer = client.get(page_of(calendar, "/details"), query_string={"at": at, **query})
    assert answer.status_code == 200, answer.status
    return answer, token_in(answer)


def later(seconds: int = 5) -> datetime:
    return now() + timedelta(seconds=seconds)
