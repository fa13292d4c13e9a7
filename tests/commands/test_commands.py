"""The commands as somebody types them. Those that need a database run in this process on the tests' servers."""

import dataclasses
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import Select, func, select

from app.cli import cli
from app.commands import checks, doctor, start
from app.config import Settings
from app.core import runtime, tenancy
from app.domain import passwords
from app.models.account import Account
from app.models.booking import Booking
from app.models.calendar import Calendar
from app.models.connection import Connection, Sender
from app.models.contact import Contact
from app.models.linked_calendar import BusyTime
from app.models.message import Message
from app.models.user import Membership, User
from app.models.webhook_event import WebhookEvent
from app.stack.postgres import EmbeddedPostgres, create_database
from app.stack.redis import EmbeddedRedis
from tests.factories import Cast, make_contact
from tests.provider import BUSINESS, SID, TOKEN, Provider

Run = Callable[..., Result]


@pytest.fixture
def run(app: Flask, settings: Settings, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Run:
    """run("create", "agency", "North"): on the runtime that the tests have."""
    here = dataclasses.replace(settings, simulator_url=provider.url)
    monkeypatch.setattr(start, "load", lambda: here)
    monkeypatch.setattr(start, "start", lambda settings: None)
    monkeypatch.setattr(doctor, "load", lambda: here)
    monkeypatch.setattr(doctor, "start", lambda settings: None)
    monkeypatch.setattr(runtime.Runtime, "close", lambda self: None)
    return lambda *words, typed=None: CliRunner().invoke(cli, list(words), input=typed)


def found(account: str) -> Account:
    with tenancy.session_for() as session:
        return session.scalars(select(Account).where(Account.slug == account)).one()


def entry(*words: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """In a process of its own, from another directory."""
    plain = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *words], env=plain | env, cwd="/", capture_output=True, text=True
    )


def test_missing_settings_are_named_one_by_one() -> None:
    answer = entry("create", "agency", "North")
    assert answer.returncode == 1
    assert answer.stderr.startswith("Levelhead cannot start:")
    assert "SECRET_KEY is missing" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_migrate_needs_only_the_database(servers: tuple[EmbeddedPostgres, EmbeddedRedis]) -> None:
    postgres, _ = servers
    name = f"migrate_{uuid.uuid4().hex[:8]}"
    create_database(postgres, name)
    url = postgres.url("levelhead_owner", name)
    first = entry("migrate", DATABASE_URL=url)
    assert first.returncode == 0, first.stderr
    assert "(before: empty)" in first.stdout
    assert "a role\nthat owns nothing" in first.stderr
    again = entry("migrate", DATABASE_OWNER_URL=url)
    assert "already" in again.stdout
    assert again.stderr == ""


def test_migrate_without_a_database_says_what_is_missing() -> None:
    answer = entry("migrate")
    assert answer.returncode == 1
    assert "Set DATABASE_OWNER_URL" in answer.stderr
    away = entry("migrate", DATABASE_OWNER_URL="postgresql://nobody@127.0.0.1:1/none")
    assert away.returncode == 1
    assert "Postgres cannot be reached" in away.stderr


def test_help_speaks_in_words(run: Run) -> None:
    for words in (
        (),
        ("create",),
        ("create", "account"),
        ("connect", "twilio"),
        ("replay",),
        ("doctor",),
        ("send",),
    ):
        answer = run(*words, "--help")
        assert answer.exit_code == 0
        assert "Usage:" in answer.output


def test_a_set_up_without_a_browser(run: Run) -> None:
    assert run("create", "account", "Too Early").exit_code == 1
    assert "Made the agency North" in run("create", "agency", "North").output
    assert "there already" in run("create", "agency", "north").output
    made = run(
        "create", "account", "Bright Smile", "--timezone", "America/Chicago", "--quiet-hours", "21:00-08:00"
    )
    assert made.exit_code == 0, made.output
    account = found("bright-smile")
    assert account.timezone == "America/Chicago"
    assert str(account.quiet_from) == "21:00:00"
    changed = run("create", "account", "Bright Smile", "--trade", "Dentist", "--quiet-hours", "off")
    assert "changed: " in changed.output
    assert found("bright-smile").quiet_from is None
    assert found("bright-smile").trade == "Dentist"
    owner = run("create", "user", "Ana@North.test", "--agency-owner", "--name", "Ana Alves")
    assert "/invitation/" in owner.output
    clerk = run(
        "create",
        "user",
        "cleo@north.test",
        "--account",
        "bright-smile",
        "--password",
        "-",
        typed="five blue boats\n",
    )
    assert clerk.exit_code == 0, clerk.output
    with tenancy.session_for() as session:
        ana = session.scalars(select(User).where(User.email == "ana@north.test")).one()
        cleo = session.scalars(select(User).where(User.email == "cleo@north.test")).one()
        assert (ana.agency_role, ana.password_hash) == ("owner", None)
        assert passwords.fits(cleo.password_hash, "five blue boats")
        roles = session.scalars(select(Membership.role).where(Membership.user_id == cleo.id)).all()
        assert roles == ["user"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("create", "account", "X", "--timezone", "Mars"), "--timezone: Choose a time zone"),
        (("create", "account", "X", "--quiet-hours", "late"), "21:00-08:00"),
        (("create", "user", "a@b.test"), "--agency-owner"),
        (("create", "user", "nonsense", "--agency-owner"), "--email: "),
        (("create", "user", "a@b.test", "--agency-owner", "--password", "short"), "--password: "),
        (("create", "user", "a@b.test", "--account", "nowhere"), "There is no account nowhere"),
        (
            ("connect", "twilio", "--account", "x", "--account-sid", "nonsense", "--auth-token", "t"),
            "AC and 32",
        ),
        (("send", "--account", "bright-dental", "--to", "12", "--body", "Hi"), "--to: "),
        (("replay",), "Say which"),
    ],
)
def test_mistakes_end_with_one_sentence(run: Run, cast: Cast, words: tuple[str, ...], says: str) -> None:
    agency = () if words[0] != "create" else ("--agency", "North")
    answer = run(*words, *agency)
    assert answer.exit_code != 0
    assert says in answer.output
    assert "Traceback" not in answer.output


def test_connect_twilio_shows_each_step(run: Run, cast: Cast, provider: Provider) -> None:
    provider.register()
    answer = run(
        "connect",
        "twilio",
        "--account",
        "bright-dental",
        "--account-sid",
        SID,
        "--auth-token",
        "-",
        typed=f"{TOKEN}\n",
    )
    assert answer.exit_code == 0, answer.output
    assert answer.output.count("✓") == 4
    assert BUSINESS in answer.output
    with tenancy.session_for() as session:
        connection = session.scalars(select(Connection)).one()
        assert connection.state == "connected"
    assert str(connection.id) in provider.numbers()[0]["sms_url"]


def test_connect_with_a_wrong_token_stores_nothing(run: Run, cast: Cast, provider: Provider) -> None:
    provider.register()
    wrong = ("--account-sid", SID, "--auth-token", "wrong")
    answer = run("connect", "twilio", "--account", "bright-dental", *wrong)
    assert answer.exit_code == 1
    with tenancy.session_for() as session:
        assert session.scalar(select(func.count()).select_from(Connection)) == 0


def test_send_follows_the_rules_of_the_inbox(run: Run, cast: Cast, provider: Provider) -> None:
    provider.register()
    run("connect", "twilio", "--account", "bright-dental", "--account-sid", SID, "--auth-token", TOKEN)
    make_contact(cast.account, "Rosa", "+14155550101")
    answer = run("send", "--account", "bright-dental", "--to", "(415) 555-0101", "--body", "Hello Rosa")
    assert answer.exit_code == 0, answer.output
    with tenancy.session_for(cast.account.id) as session:
        message = session.scalars(select(Message)).one()
        assert (message.body, message.address, message.state) == ("Hello Rosa", "+14155550101", "queued")


def store_event(cast: Cast, state: str, ref: str) -> uuid.UUID:
    with tenancy.session_for() as session:
        event = WebhookEvent(
            provider="twilio",
            connection_id=uuid.uuid4(),
            account_id=cast.account.id,
            kind="inbound",
            external_ref=ref,
            payload=b"-",
            state=state,
            attempts=12,
        )
        session.add(event)
        session.commit()
        return event.id


def test_replay_asks_first_and_takes_only_what_fits(run: Run, cast: Cast) -> None:
    dead, done = store_event(cast, "dead", "SM1"), store_event(cast, "done", "SM2")
    asked = run("replay", "--dead", typed="n\n")
    assert "1 event" in asked.output
    assert asked.exit_code == 1
    assert "Put back 1 of 1 event" in run("replay", "--dead", "--since", "1h", "--yes").output
    with tenancy.session_for() as session:
        states = {event.id: event.state for event in session.scalars(select(WebhookEvent))}
    assert states == {dead: "waiting", done: "done"}
    assert "No event fits" in run("replay", "--dead", "--yes").output
    assert "Put back 1" in run("replay", str(done), "--yes").output


def test_doctor_names_what_is_wrong_and_the_next_step(run: Run, cast: Cast) -> None:
    answer = run("doctor")
    assert answer.exit_code == 1
    assert "✓ Postgres" in answer.output
    assert "owns nothing" in answer.output
    assert "✗ Workers" in answer.output
    assert "→ Start them" in answer.output
    machine = json.loads(run("doctor", "--json").output)
    assert {"name", "state", "text", "next_step"} == set(machine[0])
    store_event(cast, "dead", "SM3")
    assert "levelhead replay --dead" in run("doctor").output


def test_doctor_sees_an_app_that_owns_the_tables(
    run: Run, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = runtime.build(
        dataclasses.replace(settings, database_url=settings.database_owner_url), pool_size=1
    )
    try:
        monkeypatch.setattr(runtime, "_current", owner)
        findings = {finding.name: finding for finding in checks.postgres()}
    finally:
        owner.database.close()
    assert findings["App role"].state == "bad"


def test_the_demo_is_seeded_once_and_quickly(run: Run) -> None:
    begin = time.monotonic()
    answer = run("seed", "--demo", "--if-empty")
    took = time.monotonic() - begin
    assert answer.exit_code == 0, answer.output
    # 12 s are promised on two free cores; a test may share them.
    assert took < 40
    accounts = {slug: found(slug) for slug in ("bright-smile-dental", "harbor-plumbing", "luna-yoga")}
    before = {slug: contacts_of(account) for slug, account in accounts.items()}
    assert sum(before.values()) >= 60
    with tenancy.session_for(accounts["harbor-plumbing"].id) as session:
        states = set(session.scalars(select(Message.state).distinct()))
    assert {"received", "delivered", "failed", "refused"} <= states
    books = {slug: books_of(account) for slug, account in accounts.items()}
    assert {slug: kept["calendars"] for slug, kept in books.items()} == dict.fromkeys(accounts, 2)
    # Each host is connected, and read before anything was booked.
    assert {slug: kept["google"] for slug, kept in books.items()} == dict.fromkeys(accounts, 2)
    assert all(kept["bookings"] >= 4 and kept["busy"] > 20 for kept in books.values())
    assert run("seed", "--demo", "--if-empty").exit_code == 0
    assert {slug: contacts_of(account) for slug, account in accounts.items()} == before
    assert {slug: books_of(account) for slug, account in accounts.items()} == books
    with tenancy.session_for() as session:
        assert (
            session.scalar(select(func.count()).select_from(Sender).where(Sender.webhook_state == "set")) == 4
        )
        names = session.scalars(select(User.email).order_by(User.email)).all()
    listed = run("demo-people").output
    assert all(email in listed for email in names)


def books_of(account: Account) -> dict[str, int]:
    with tenancy.session_for(account.id) as session:

        def count(query: Select[int]) -> int:
            return session.scalar(query) or 0

        connected = select(func.count()).select_from(Connection)
        return {
            "calendars": count(select(func.count()).select_from(Calendar)),
            "bookings": count(select(func.count()).select_from(Booking)),
            "busy": count(select(func.count()).select_from(BusyTime)),
            "google": count(
                connected.where(
                    Connection.account_id == account.id,
                    Connection.provider == "google",
                    Connection.state == "connected",
                )
            ),
        }


def contacts_of(account: Account) -> int:
    with tenancy.session_for(account.id) as session:
        return session.scalar(select(func.count()).select_from(Contact)) or 0
