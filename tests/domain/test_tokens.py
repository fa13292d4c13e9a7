"""The token service against the played Google: one refresh for many, nothing lost, and no trouble taken for a no."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy import select

from app.core import runtime, tenancy
from app.core.clock import now
from app.core.errors import NeedsReconnect, ProviderError, RateLimited, Temporary
from app.domain import connections, tokens
from app.domain.tokens import Granted, GrantLost, Identity
from app.integrations.google.oauth import GOOGLE
from app.models.connection import Connection
from app.models.mail import Mail
from tests.conftest import run_jobs
from tests.consent import Google, connect, only_connection
from tests.factories import Cast, sign_in
from workers import schedule
from workers import tokens as jobs

CONNECT = "/a/bright-dental/connect/google"


@pytest.fixture
def made(client: FlaskClient, cast: Cast, google: Google) -> Connection:
    connect(sign_in(client, cast.ana), google, CONNECT)
    return only_connection()


def change(connection: Connection, **values: Any) -> None:
    with tenancy.session_for() as session:
        row = session.get_one(Connection, connection.id)
        for name, value in values.items():
            setattr(row, name, value)
        session.commit()


def held(connection: Connection) -> dict[str, str]:
    with tenancy.session_for() as session:
        return connections.open_credentials(session.get_one(Connection, connection.id))


def refreshes(google: Google) -> int:
    return len(google.requests("/token")) - 1


class Source:
    """A provider of tokens that does as told."""

    name = "Somebody"

    def __init__(self, *answers: Granted | ProviderError, probe: ProviderError | None = None) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.probed = 0
        self._probe = probe

    def refresh(self, refresh_token: str) -> Granted:
        self.asked.append(refresh_token)
        answer = self.answers.pop(0)
        if isinstance(answer, ProviderError):
            raise answer
        return answer

    def probe(self, access_token: str) -> Identity:
        self.probed += 1
        if self._probe is not None:
            raise self._probe
        return Identity("1", "somebody")


def test_a_good_token_is_not_renewed(made: Connection, google: Google):
    assert tokens.fresh_token(made.id, GOOGLE) == held(made)["access_token"]
    assert refreshes(google) == 0


def test_fifty_uses_of_an_expired_token_are_one_refresh(made: Connection, google: Google):
    change(made, token_expires_at=now() - timedelta(seconds=1))
    google.fault("delay", path="token", delay_ms=300)
    start = threading.Barrier(50)

    def use(_: int) -> str:
        start.wait()
        return tokens.fresh_token(made.id, GOOGLE)

    with ThreadPoolExecutor(50) as pool:
        got = set(pool.map(use, range(50)))
    assert got == {held(made)["access_token"]}
    assert refreshes(google) == 1
    assert only_connection().token_version == made.token_version + 1


def test_a_token_that_ends_before_the_work_does_is_renewed(made: Connection, google: Google):
    assert tokens.fresh_token(made.id, GOOGLE, needed_for_s=7200)
    assert refreshes(google) == 1


def test_rotation(made: Connection, google: Google):
    google.control("/google/settings", rotate_refresh_tokens=True)
    first = held(made)["refresh_token"]
    change(made, token_expires_at=now())
    tokens.fresh_token(made.id, GOOGLE)
    second = held(made)["refresh_token"]
    assert second != first
    change(made, token_expires_at=now())
    tokens.fresh_token(made.id, GOOGLE)
    assert held(made)["refresh_token"] not in (first, second)
    assert only_connection().state == "connected"


def test_an_empty_value_replaces_nothing(made: Connection):
    change(made, token_expires_at=now())
    before = held(made)["refresh_token"]
    tokens.fresh_token(made.id, Source(Granted("new", "", 3600)))
    assert held(made) == {"access_token": "new", "refresh_token": before}
    assert only_connection().scopes == made.scopes


@pytest.mark.parametrize(
    "trouble",
    [Temporary("Away.", "503"), RateLimited("Slower.", "429", after=3)],
)
def test_trouble_on_the_way_is_no_revocation(made: Connection, trouble: ProviderError):
    change(made, token_expires_at=now() - timedelta(seconds=1))
    with pytest.raises(type(trouble)):
        tokens.fresh_token(made.id, Source(trouble))
    row = only_connection()
    assert (row.state, row.refresh_lease_until) == ("connected", None)
    assert row.last_error and trouble.sentence in row.last_error
    assert tokens.fresh_token(made.id, Source(Granted("new", "", 3600))) == "new"
    assert only_connection().last_error is None


@pytest.mark.parametrize("kind", ["server_error", "rate_limited", "reset", "quota"])
def test_googles_own_trouble_is_no_revocation(made: Connection, google: Google, kind: str):
    change(made, token_expires_at=now() - timedelta(seconds=1))
    google.fault(kind, path="token", times=3)
    with pytest.raises(ProviderError) as caught:
        tokens.fresh_token(made.id, GOOGLE)
    assert not isinstance(caught.value, NeedsReconnect)
    assert only_connection().state == "connected"


def test_long_trouble_shows_as_degraded_and_passes_by_itself(made: Connection):
    with time_machine.travel(now() + timedelta(hours=2), tick=False):
        with pytest.raises(Temporary):
            tokens.fresh_token(made.id, Source(Temporary("Away.")))
        assert only_connection().state == "degraded"
        tokens.fresh_token(made.id, Source(Granted("new", "", 3600)))
        row = only_connection()
        assert (row.state, row.last_error) == ("connected", None)


def test_ahead_of_time_trouble_gives_the_token_that_is_there(made: Connection):
    got = tokens.fresh(made.id, Source(Temporary("Away.")), not_version=made.token_version)
    assert got.version == made.token_version


def test_revoked_is_told_in_words_and_mailed_once(made: Connection, google: Google, cast: Cast):
    google.revoke()
    change(made, token_expires_at=now())
    for _ in range(3):
        with pytest.raises(NeedsReconnect):
            tokens.fresh_token(made.id, GOOGLE)
    row = only_connection()
    assert row.state == "revoked"
    assert row.last_error and "removes Levelhead" in row.last_error and "7 days" in row.last_error
    assert held(made)["refresh_token"], "kept: a test may find that it works after all"
    with tenancy.session_for() as session:
        mails = session.scalars(select(Mail).order_by(Mail.recipient)).all()
    assert [mail.recipient for mail in mails] == sorted([cast.ben.email, cast.ana.email])
    assert mails[0].subject == "A calendar of Bright Dental is not connected any more: access was withdrawn"
    body = runtime.current().vault.open_text(mails[0].body or b"", f"mails|{mails[0].id}|body")
    assert "Access was withdrawn at Google." in body


def test_a_refusal_that_is_no_withdrawal_is_not_called_one(made: Connection, google: Google):
    tokens.end(made.id, made.token_version, "reconnect_needed", "Google gave us no lasting access.")
    with tenancy.session_for() as session:
        mail = session.scalars(select(Mail)).first()
    assert mail is not None and mail.subject.endswith(": reconnect needed")
    body = runtime.current().vault.open_text(mail.body or b"", f"mails|{mail.id}|body")
    assert "withdrawn" not in body


def test_a_no_is_asked_twice_before_it_is_believed(made: Connection):
    lost = GrantLost("No.", "invalid_grant", withdrawn=True)
    change(made, token_expires_at=now())
    source = Source(lost, Granted("new", "", 3600))
    assert tokens.fresh_token(made.id, source) == "new"
    assert only_connection().state == "connected"


@pytest.mark.parametrize(
    ("withdrawn", "probe", "state"),
    [
        (True, NeedsReconnect("Refused."), "revoked"),
        (False, NeedsReconnect("Refused."), "reconnect_needed"),
        (True, None, "reconnect_needed"),
        (True, Temporary("Away."), "connected"),
    ],
)
def test_the_probe_decides(made: Connection, withdrawn: bool, probe: ProviderError | None, state: str):
    source = Source(GrantLost("No.", "invalid_grant", withdrawn=withdrawn), probe=probe)
    with pytest.raises(ProviderError):
        tokens.fresh(made.id, source, not_version=made.token_version)
    assert (source.probed, only_connection().state) == (1, state)


def test_a_crash_while_renewing_frees_itself(made: Connection, google: Google):
    change(made, token_expires_at=now() - timedelta(seconds=1))
    assert tokens._claim(made.id, made.token_version)
    assert not tokens._claim(made.id, made.token_version)
    with time_machine.travel(now() + tokens.LEASE + timedelta(seconds=1), tick=False):
        assert tokens.fresh_token(made.id, GOOGLE)
    assert refreshes(google) == 1


def test_somebody_reconnects_while_a_refresh_is_under_way(made: Connection):
    class Slow(Source):
        def refresh(self, refresh_token: str) -> Granted:
            with tenancy.session_for() as session:
                tokens.keep(session.get_one(Connection, made.id), Granted("theirs", "theirs-too", 3600))
                session.commit()
            return super().refresh(refresh_token)

    change(made, token_expires_at=now())
    assert tokens.fresh_token(made.id, Slow(Granted("mine", "mine-too", 3600))) == "theirs"
    assert held(made) == {"access_token": "theirs", "refresh_token": "theirs-too"}


def test_the_scheduler_renews_ahead(made: Connection, google: Google):
    run_jobs()
    schedule.renew_access()
    assert not runtime.current().bells.rung
    at: datetime = made.refresh_at or now()
    with time_machine.travel(at + timedelta(seconds=1), tick=False):
        schedule.renew_access()
        schedule.renew_access()
        run_jobs()
        row = only_connection()
        assert row.token_expires_at and row.token_expires_at > now() + timedelta(minutes=50)
    assert refreshes(google) == 1


def test_a_revocation_shows_within_minutes(made: Connection, google: Google):
    run_jobs()
    google.revoke()
    with time_machine.travel(now() + timedelta(minutes=5, seconds=1), tick=False):
        schedule.renew_access()
        run_jobs()
        assert only_connection().state == "revoked"
        schedule.renew_access()
        assert not runtime.current().bells.rung


def test_only_silent_connections_are_asked(made: Connection, google: Google):
    before = len(google.requests("userinfo"))
    with time_machine.travel(now() + timedelta(minutes=5, seconds=1), tick=False):
        change(made, last_ok_at=now() - timedelta(seconds=20))
        jobs.probe(str(made.id))
        assert len(google.requests("userinfo")) == before
        probe_at = only_connection().probe_at
        assert probe_at and probe_at > now()


def test_jobs_of_connections_that_are_gone(made: Connection, cast: Cast):
    for job in (jobs.refresh, jobs.probe):
        job(str(cast.account.id))
    change(made, state="disconnected")
    with pytest.raises(NeedsReconnect):
        tokens.fresh_token(made.id, GOOGLE)


def test_a_lost_encryption_key_is_said(made: Connection):
    change(made, credentials=b"\x03old" + b"x" * 40)
    with pytest.raises(NeedsReconnect):
        tokens.fresh_token(made.id, GOOGLE)
    row = only_connection()
    assert (row.state, row.last_error) == ("reconnect_needed", connections.UNREADABLE)
    assert runtime.current().vault.current_key == "test"
