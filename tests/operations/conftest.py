"""Tables that claim another version, as after an update or before one."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import create_engine, text

from app.config import Settings
from app.core import schema

ClaimVersion = Callable[[str], None]


@pytest.fixture
def claim_version(app: object, settings: Settings) -> Iterator[ClaimVersion]:
    engine = create_engine(settings.database_owner_url)

    def claim(version: str) -> None:
        with engine.begin() as connection:
            connection.execute(
                text("update alembic_version set version_num = :version"), {"version": version}
            )

    yield claim
    claim(schema.known_version())
    engine.dispose()
