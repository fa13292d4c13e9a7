"""Sends the mails that are due: claim and commit, talk to the server with no transaction open, note each answer."""

import smtplib
from collections.abc import Iterator

import structlog

from app.core import bells, jobs, runtime, smtp, tenancy
from app.domain import mails
from app.domain.sending import kinds

log = structlog.get_logger()


def drain() -> None:
    bells.take_down(runtime.current().redis, jobs.SEND_MAILS.function, ())
    while batch := _claim():
        if not _send(batch):
            break


def _claim() -> list[mails.Claimed]:
    with tenancy.session_for() as session:
        batch = mails.claim(session)
        session.commit()
    return batch


def _send(batch: list[mails.Claimed]) -> bool:
    """False when the server cannot be reached: no use in claiming more."""
    waiting = iter(batch)
    try:
        server = smtp.parse(runtime.current().settings.smtp_url)
        with smtp.connected(server) as connection:
            for mail in waiting:
                _send_one(connection, mail)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        _postpone(waiting, error)
        return False
    return True


def _send_one(connection: smtplib.SMTP, mail: mails.Claimed) -> None:
    """Settles the mail, whatever happens; raises when the wire itself is broken."""
    if not mail.body_text:
        _failed(mail, "The stored mail could not be opened: its encryption key is gone.")
        return
    if mail.is_over:
        _failed(mail, f"It could not leave within {kinds.span(mail.lasts)}, and is of no use after that.")
        return
    try:
        connection.send_message(
            smtp.message(
                sender=mail.sender,
                recipient=mail.recipient,
                subject=mail.subject,
                text=mail.body_text,
                html=mail.body_html,
                message_id=str(mail.id),
                calendar=mail.calendar,
            )
        )
    except smtplib.SMTPServerDisconnected as error:
        _postpone(iter([mail]), error)
        raise
    except smtplib.SMTPException as error:
        if _is_final(error):
            _failed(mail, _sentence(error))
        else:
            _postpone(iter([mail]), error)
    except ValueError as error:
        _failed(mail, f"The mail could not be written: {error}")
    except OSError as error:
        _postpone(iter([mail]), error)
        raise
    else:
        with tenancy.session_for() as session:
            mails.mark_sent(session, mail.id)
            session.commit()
        log.info("mail.sent", mail_id=str(mail.id))


def _is_final(error: smtplib.SMTPException) -> bool:
    """5xx is a no for good (RFC 5321, 4.2.1); everything else may pass."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code >= 500
    return False


def _failed(mail: mails.Claimed, sentence: str) -> None:
    log.error("mail.failed", mail_id=str(mail.id))
    with tenancy.session_for() as session:
        mails.mark_failed(session, mail.id, sentence)
        session.commit()


def _postpone(batch: Iterator[mails.Claimed], error: Exception) -> None:
    log.warning("mail.postponed", error=type(error).__name__)
    with tenancy.session_for() as session:
        for mail in batch:
            mails.try_later(session, mail, _sentence(error))
        session.commit()


def _sentence(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, reply = next(iter(error.recipients.values()))
        return f"The mail server refused the recipient ({code}): {_words(reply)}"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"The mail server said {error.smtp_code}: {_words(error.smtp_error)}"
    return f"The mail server could not be reached ({type(error).__name__}: {error})"


def _words(reply: bytes | str) -> str:
    return reply.decode(errors="replace") if isinstance(reply, bytes) else reply
