from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine

from app.integrations import calendars
from app.models.connection import Connection
from tests.factories import Cast
from tests.google import Google
from tests.provider import Provider

# A Monday, 7 in the morning in New York.
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def monday_morning() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def google(provider: Provider) -> Iterator[Google]:
    made = Google(provider)
    yield made
    made.http.close()


@pytest.fixture
def connection(google: Google, cast: Cast) -> Connection:
    """Ben's Google account, its calendars listed and not read yet."""
    made = google.connect(cast.account, cast.ben)
    calendars.list_calendars(made.id)
    return made
