"""A calendar of the cast's account, with hours from 9 to 17 in New York, and a Monday to book on."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine
from sqlalchemy.orm import Session

from app.core import tenancy
from app.models.calendar import Calendar
from tests.domain.booking import rows
from tests.factories import Cast

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def monday_morning() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def inside(cast: Cast) -> Iterator[Session]:
    with tenancy.session_for(cast.account.id) as session:
        yield session


@pytest.fixture
def calendar(inside: Session, cast: Cast) -> Calendar:
    rows.make_schedule(inside, cast.account)
    return rows.make_calendar(inside, cast.account, [cast.ben])
