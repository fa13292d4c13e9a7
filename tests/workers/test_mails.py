"""Mails leave once, wait when the server is away, and keep no body behind."""

import email
import email.policy
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from email.message import Message
from typing import Any

import pytest
import time_machine
from aiosmtpd.controller import Controller
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.core import runtime, smtp
from app.core.clock import now
from app.domain import mails
from app.models.mail import Mail
from tests.conftest import run_jobs
from tests.factories import Cast


class Catcher:
    def __init__(self) -> None:
        self.caught: list[Any] = []
        self.answer = "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address.startswith("nobody"):
            return "550 no such mailbox"
        if address.startswith("later"):
            return "451 try again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.caught.append(envelope)
        return self.answer


@contextmanager
def listening() -> Iterator[tuple[Catcher, int]]:
    catcher = Catcher()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(catcher, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield catcher, port
    finally:
        controller.stop()


@pytest.fixture
def server(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catcher]:
    with listening() as (catcher, port):
        found = runtime.current()
        monkeypatch.setattr(found, "settings", replace(found.settings, smtp_url=f"smtp://127.0.0.1:{port}"))
        yield catcher


def queue(session: Session, cast: Cast, recipient: str = "eve@client.test", **more: Any) -> None:
    letter = mails.write(
        "notice", title="Hello", paragraphs=["One", "Two & three"], action="Go", url="http://x/y"
    )
    mails.queue_mail(
        session,
        agency_id=cast.agency.id,
        recipient=recipient,
        subject="Hello\r\nBcc: evil@x.test",
        kind="notice",
        body_text=letter.text,
        body_html=letter.html,
        **more,
    )
    session.commit()


def one(session: Session) -> Mail:
    session.expire_all()
    session.rollback()
    return session.scalars(select(Mail)).one()


def test_a_mail_leaves_once_and_its_body_is_erased(server: Catcher, cast: Cast, session: Session) -> None:
    queue(session, cast)
    assert b"http://x/y" not in (one(session).body or b"")
    run_jobs()
    queued = one(session)
    assert (queued.state, queued.body, queued.error) == ("sent", None, None)
    (envelope,) = server.caught
    got = email.message_from_bytes(envelope.content, policy=email.policy.default)
    text = got.get_body(("plain",)).get_content()
    html = got.get_body(("html",)).get_content()
    assert envelope.rcpt_tos == ["eve@client.test"]
    assert "http://x/y" in text and "Two & three" in text and "Two &amp; three" in html
    assert got["Bcc"] is None and got["Message-ID"] == f"<{queued.id}@localhost>"


def test_one_mail_per_occasion(server: Catcher, cast: Cast, session: Session) -> None:
    queue(session, cast, dedupe_key="alarm:1")
    queue(session, cast, dedupe_key="alarm:1")
    run_jobs()
    assert len(server.caught) == 1


def test_a_refused_recipient_is_final_and_a_full_one_is_tried_again(
    server: Catcher, cast: Cast, session: Session
) -> None:
    for who in ("nobody@x.test", "later@x.test", "eve@x.test"):
        queue(session, cast, who)
    run_jobs()
    session.rollback()
    states = dict(iter(session.execute(select(Mail.recipient, Mail.state))))
    assert states == {"nobody@x.test": "failed", "later@x.test": "waiting", "eve@x.test": "sent"}


def test_with_the_server_away_mails_wait_longer_each_time(app: Flask, cast: Cast, session: Session) -> None:
    queue(session, cast)
    waits = []
    at = now()
    for _ in range(14):
        with time_machine.travel(at, tick=False):
            runtime.current().bells.rung.append(("chores", "workers.mails.drain", ()))
            run_jobs()
            waiting = one(session)
            waits.append((waiting.run_at - at).total_seconds())
            at = waiting.run_at
    assert waits[:3] == [30, 60, 120]
    assert max(waits) == timedelta(days=1).total_seconds()
    with time_machine.travel(at + timedelta(days=4), tick=False):
        runtime.current().bells.rung.append(("chores", "workers.mails.drain", ()))
        run_jobs()
    given_up = one(session)
    assert (given_up.state, given_up.body) == ("failed", None)
    assert "could not be reached" in (given_up.error or "")


def test_a_mail_of_a_dead_worker_is_claimed_again(server: Catcher, cast: Cast, session: Session) -> None:
    queue(session, cast)
    runtime.current().bells.rung.clear()
    assert len(mails.claim(session)) == 1
    session.commit()
    assert mails.claim(session) == []
    session.rollback()
    with time_machine.travel(now() + timedelta(minutes=4), tick=False):
        assert len(mails.claim(session)) == 1


def test_addresses_of_mail_servers() -> None:
    assert smtp.parse("smtp://u:p%40ss@mail.test:587") == smtp.Server(
        "mail.test", 587, False, True, "u", "p@ss"
    )
    assert smtp.parse("smtps://mail.test") == smtp.Server("mail.test", 465, True, False)
    assert smtp.parse("smtp://localhost:2525?starttls=1").starttls
    assert not smtp.parse("smtp://localhost:587?starttls=0").starttls
    with pytest.raises(ValueError, match="SMTP_URL must look like"):
        smtp.parse("mail.test:25")
    assert "p%40ss" not in repr(smtp.parse("smtp://u:p%40ss@mail.test:587"))
    assert isinstance(
        smtp.message(
            sender="Lé <a@b.test>", recipient="x@y.test", subject="s", text="t", html="", message_id="1"
        ),
        Message,
    )


def test_a_mail_whose_link_has_ended_is_not_sent(server: Catcher, cast: Cast, session: Session) -> None:
    queue(session, cast)
    session.execute(update(Mail).values(kind="reset"))
    session.commit()
    with time_machine.travel(now() + timedelta(minutes=61), tick=True):
        run_jobs()
    mail = one(session)
    assert (mail.state, mail.body, server.caught) == ("failed", None, [])
    assert mail.error == "It could not leave within 1 hour, and is of no use after that."
