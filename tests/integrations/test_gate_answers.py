"""What the answers of an API say about its provider: a plain no shows as well as a yes that it is there."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.core import tenancy
from app.core.clock import now
from app.core.errors import NeedsReconnect, ProviderError, RateLimited, Temporary
from app.domain.sending import breaker
from app.integrations.gate import ConnectionGate
from app.integrations.http import Refused
from app.models.breaker import CircuitBreaker
from app.models.connection import Connection
from tests.consent import Google, connect, only_connection
from tests.factories import Cast, sign_in


@pytest.fixture
def made(client: FlaskClient, cast: Cast, google: Google) -> Connection:
    connect(sign_in(client, cast.ana), google, "/a/bright-dental/connect/google")
    return only_connection()


@pytest.fixture
def probing(made: Connection) -> ConnectionGate:
    """Its breaker is open, and this call is the one that tries whether all is well again."""
    gate = ConnectionGate(made.id, "Google", ())
    for _ in range(breaker.FAILURES):
        gate.enter(1, 1)
        gate.leave(Temporary("Away.", "503"))
    with tenancy.session_for() as session:
        session.scalars(select(CircuitBreaker)).one().next_probe_at = now()
        session.commit()
    gate.enter(1, 1)
    return gate


def is_open() -> bool:
    with tenancy.session_for() as session:
        return session.scalar(select(CircuitBreaker)) is not None


def test_a_shut_gate(made: Connection) -> None:
    gate = ConnectionGate(made.id, "Google", ())
    for _ in range(breaker.FAILURES):
        gate.enter(1, 1)
        gate.leave(Temporary("Away.", "503"))
    with pytest.raises(Temporary, match="trouble"):
        gate.enter(1, 1)


@pytest.mark.parametrize(
    "answer",
    [None, Refused("There already.", status=409, reason="duplicate"), Refused("Gone.", status=410)],
)
def test_any_plain_answer_opens_the_way_again(probing: ConnectionGate, answer: ProviderError | None) -> None:
    probing.leave(answer)
    assert not is_open()


@pytest.mark.parametrize("answer", [RateLimited("Slower."), NeedsReconnect("Refused.")])
def test_after_an_answer_that_says_neither_the_next_may_try_at_once(
    probing: ConnectionGate, answer: ProviderError
) -> None:
    probing.leave(answer)
    probing.enter(1, 1)
    probing.leave(None)
    assert not is_open()


def test_trouble_again_puts_the_next_try_off(probing: ConnectionGate) -> None:
    probing.leave(Temporary("Away.", "503"))
    assert is_open()
    with pytest.raises(Temporary, match="trouble"):
        probing.enter(1, 1)
