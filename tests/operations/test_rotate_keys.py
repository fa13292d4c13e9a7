"""Old and new key side by side, and everything sealed anew while others write."""

import dataclasses
import json
import threading
import uuid

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from app.config import Settings, parse_keys
from app.core import runtime, tenancy
from app.core.crypto import Vault
from app.domain import connections, mails, sealed, webhooks
from app.domain.sealed import SEALED, Pass
from app.models.connection import Connection
from app.models.mail import Mail
from app.models.webhook_event import WebhookEvent
from tests.factories import Cast
from tests.operations.cli import OTHER_KEY, TEST_KEY, run

BOTH = f"{OTHER_KEY},{TEST_KEY}"


def vault_of(text: str) -> Vault:
    return Vault(parse_keys(text))


def make_connection(cast: Cast, ref: str) -> uuid.UUID:
    with tenancy.session_for() as session:
        made = Connection(account_id=cast.account.id, provider="twilio", external_ref=ref, credentials=b"")
        session.add(made)
        session.flush()
        connections.seal_credentials(made, {"auth_token": ref})
        session.commit()
        return made.id


def store(cast: Cast, ref: str) -> None:
    webhooks.record(
        provider="twilio",
        connection_id=cast.account.id,
        account_id=cast.account.id,
        kind="inbound",
        external_ref=ref,
        payload={"Body": ref},
        headers={},
    )


def write_mail(cast: Cast) -> None:
    with tenancy.session_for() as session:
        mails.queue_mail(
            session,
            agency_id=cast.agency.id,
            recipient="ana@north.test",
            subject="Hello",
            kind="reset",
            body_text="A link",
        )
        session.commit()


def keys() -> set[str]:
    return {key for column in SEALED for key in sealed.keys_in_use(column)}


def test_every_column_of_bytes_is_in_the_list() -> None:
    assert {str(column) for column in SEALED} == sealed.byte_columns()


def test_everything_is_sealed_with_the_first_key(settings: Settings, session: Session, cast: Cast) -> None:
    connection_id = make_connection(cast, "AC1")
    write_mail(cast)
    for number in range(sealed.BATCH + 5):
        store(cast, f"SM{number}")
    before = run(settings, "rotate-keys", "--check", ENCRYPTION_KEYS=BOTH)
    assert before.exit_code == 1
    assert "205 under test" in before.output
    done = run(settings, "rotate-keys", ENCRYPTION_KEYS=BOTH)
    assert done.exit_code == 0, done.output
    assert "webhook_events.payload: 205 under next" in done.output
    assert "Everything is sealed with next." in done.output
    assert keys() == {"next"}
    # Only the new key from here on.
    vault = vault_of(OTHER_KEY)
    event = session.query(WebhookEvent).filter_by(external_ref="SM7").one()
    assert json.loads(vault.open(event.payload or b"", f"webhook_events|{event.id}|payload")) == {
        "Body": "SM7"
    }
    mail = session.query(Mail).one()
    assert "A link" in vault.open_text(mail.body or b"", f"mails|{mail.id}|body")
    connection = session.get_one(Connection, connection_id)
    assert "AC1" in vault.open_text(connection.credentials, f"connections|{connection_id}|credentials")
    again = run(settings, "rotate-keys", ENCRYPTION_KEYS=BOTH)
    assert again.exit_code == 0
    assert "webhook_events.payload: 0 sealed anew" in again.output


def test_a_value_of_an_unknown_key_is_named_and_left_alone(
    settings: Settings, session: Session, cast: Cast
) -> None:
    store(cast, "SM1")
    store(cast, "SM2")
    strange = vault_of("lost:" + "c" * 43).seal(b"{}", "anywhere")
    session.execute(update(WebhookEvent).where(WebhookEvent.external_ref == "SM1").values(payload=strange))
    session.commit()
    done = run(settings, "rotate-keys", ENCRYPTION_KEYS=BOTH)
    assert done.exit_code == 1
    assert "1 under lost, 1 under next" in done.output
    assert "could not be opened" in done.output
    session.expire_all()
    assert session.query(WebhookEvent).filter_by(external_ref="SM1").one().payload == strange


def test_changed_bytes_are_named(settings: Settings, session: Session, cast: Cast) -> None:
    store(cast, "SM1")
    sealed_value = session.query(WebhookEvent).one().payload or b""
    session.execute(update(WebhookEvent).values(payload=sealed_value[:-1] + b"?"))
    session.commit()
    done = run(settings, "rotate-keys", ENCRYPTION_KEYS=BOTH)
    assert (done.exit_code, "could not be opened" in done.output) == (1, True)


def test_whoever_stores_meanwhile_wins(session: Session, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reconnect between reading and writing: its credentials stay."""
    connection_id = make_connection(cast, "AC1")
    monkeypatch.setattr(runtime.current(), "vault", vault_of(BOTH))
    read = sealed._next_batch(SEALED[0], None, uuid.UUID(int=0))
    connection = session.get_one(Connection, connection_id)
    connections.seal_credentials(connection, {"auth_token": "newer"})
    session.commit()
    done = Pass()
    sealed._renew_batch(SEALED[0], None, read, done)
    assert (done.renewed, done.left) == (0, 1)
    session.expire_all()
    connection = session.get_one(Connection, connection_id)
    assert connections.open_credentials(connection) == {"auth_token": "newer"}


def test_a_held_row_is_not_waited_for(session: Session, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    make_connection(cast, "AC1")
    monkeypatch.setattr(runtime.current(), "vault", vault_of(BOTH))
    session.query(Connection).with_for_update().one()
    assert sealed.renew(SEALED[0]) == Pass(renewed=0, left=1, broken=0)
    session.rollback()
    assert sealed.renew(SEALED[0]) == Pass(renewed=1, left=0, broken=0)


def test_rotation_beside_writers(session: Session, cast: Cast) -> None:
    """Events, mails and reconnects go on, first with the old key alone in front, then with the new one."""
    ids = [make_connection(cast, f"AC{number}") for number in range(5)]
    for number in range(300):
        store(cast, f"early{number}")
    stop = threading.Event()
    broken: list[BaseException] = []
    written = {"events": 0, "reconnects": 0}
    found = runtime.current()

    def keep_writing() -> None:
        try:
            while not stop.is_set():
                number = written["events"] = written["events"] + 1
                store(cast, f"late{number}")
                with tenancy.session_for() as own:
                    row = own.get_one(Connection, ids[number % 5], with_for_update=True)
                    connections.open_credentials(row)
                    connections.seal_credentials(row, {"auth_token": f"turn{number}"})
                    own.commit()
                written["reconnects"] = number
        except BaseException as error:
            broken.append(error)

    old = found.vault
    # The website runs with both keys and the old one in front, as after the first step of a rotation.
    found.vault = vault_of(f"{TEST_KEY},{OTHER_KEY}")
    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        for _ in range(3):
            walk()
        # Now it is restarted with the new one in front.
        found.vault = vault_of(BOTH)
        stop.wait(0.3)
        walk()
    finally:
        stop.set()
        writer.join()
        # A row that was held in the last walk is met free now.
        walk()
        reading, found.vault = vault_of(OTHER_KEY), old
    assert not broken
    assert written["reconnects"] > 3
    assert keys() == {"next"}
    for event in session.query(WebhookEvent):
        opened = reading.open(event.payload or b"", f"webhook_events|{event.id}|payload")
        assert json.loads(opened) == {"Body": event.external_ref}
    tokens = {
        reading.open_text(row.credentials, f"connections|{row.id}|credentials")
        for row in session.query(Connection)
    }
    assert json.dumps({"auth_token": f"turn{written['reconnects']}"}) in tokens


def walk() -> None:
    """One walk through all columns with the new key in front, as the command does it, beside the website's vault."""
    both = vault_of(BOTH)
    found = runtime.current()
    runtime.install(dataclasses.replace(found, vault=both))
    try:
        for column in SEALED:
            sealed.renew(column)
    finally:
        runtime.install(found)
