"""Live, ready, and what the supervisor asks for."""

import uuid

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from app.core import request_scope, runtime, schema
from app.core.db import Database
from tests.factories import Cast, sign_in
from tests.operations.conftest import ClaimVersion

NOBODY = "postgresql+psycopg://nobody@127.0.0.1:1/none"


@pytest.fixture
def postgres_away(app: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.current(), "database", Database(NOBODY))


@pytest.fixture
def redis_away(app: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.current(), "redis", redis.Redis(port=1))


def test_all_well(client: FlaskClient) -> None:
    assert client.get("/health").json == {"status": "ok", "postgres": "ok", "redis": "ok"}
    assert client.get("/health/live").json == {"status": "ok"}
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json) == (
        200,
        {"status": "ok", "postgres": "ok", "tables": "ok", "redis": "ok"},
    )


@pytest.mark.usefixtures("postgres_away")
def test_without_postgres_it_lives_but_is_not_ready(client: FlaskClient) -> None:
    assert client.get("/health/live").status_code == 200
    assert client.get("/health").status_code == 503
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json["postgres"]) == (503, "unreachable")


@pytest.mark.usefixtures("redis_away")
def test_without_redis_it_is_ready_and_says_so(client: FlaskClient) -> None:
    answer = client.get("/health/ready")
    assert answer.status_code == 200
    assert "nothing is lost" in answer.json["redis"]


@pytest.mark.parametrize("version", ["0001", "9999"])
def test_on_tables_of_another_version_it_is_not_ready(
    client: FlaskClient, claim_version: ClaimVersion, version: str
) -> None:
    claim_version(version)
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert version in answer.json["tables"]
    assert schema.known_version() in answer.json["tables"]
    assert client.get("/health/live").status_code == 200


def test_without_postgres_a_signed_in_person_reads_that_it_is_away(
    app: Flask, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a bare 500: the page that says so asks the database for nobody."""
    ben, inbox = sign_in(app.test_client(), cast.ben), f"/a/{cast.account.slug}/inbox"
    assert ben.get(inbox).status_code == 200
    monkeypatch.setattr(runtime.current(), "database", Database(NOBODY))
    # Outside of tests what goes wrong inside an error page is a 500 without words.
    app.testing = False
    try:
        page, sent, wrong = ben.get(inbox), ben.post(f"{inbox}/c/{uuid.uuid4()}/messages"), ben.post(inbox)
    finally:
        app.testing = True
    assert (page.status_code, sent.status_code, wrong.status_code) == (503, 503, 405)
    for answer in (page, sent):
        assert "The database cannot be reached. Nothing is lost" in answer.text


def test_a_database_that_goes_after_the_answer_was_made_does_not_spoil_it(app: Flask) -> None:
    with app.test_request_context():
        pid = request_scope.db().scalar(text("select pg_backend_pid()"))
        with runtime.current().database.engine.connect() as another:
            assert another.scalar(text("select pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        request_scope.close_db()
        assert request_scope.db().scalar(text("select pg_backend_pid()")) != pid
