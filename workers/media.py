"""Fetches the pictures of texts that came in: one account at a time, no transaction open while fetching."""

from contextlib import suppress
from datetime import timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core import bells, jobs, runtime, tenancy
from app.core.clock import now
from app.core.errors import NotFound, Permanent, ProviderError
from app.core.ids import parse_id
from app.domain import connections, conversations, media
from app.domain.sending import backoff
from app.integrations import registry
from app.models.connection import Connection
from app.models.message import Attachment
from workers import stopping

log = structlog.get_logger()

MOST_TRIES = 10
LEASE = timedelta(minutes=2)


def fetch(account_id: str) -> None:
    """Every picture of the account that is due."""
    bells.take_down(runtime.current().redis, jobs.FETCH_MEDIA.function, (account_id,))
    found = parse_id(account_id)
    if found is None:
        return
    while stopping.keep_on():
        with tenancy.session_for(found) as session:
            attachment = _claim(session)
            if attachment is None:
                return
            connection = session.get(Connection, attachment.connection_id)
            session.commit()
        _fetch_one(attachment, connection)


def _claim(session: Session) -> Attachment | None:
    attachment = session.scalar(
        select(Attachment)
        .where(Attachment.state == "waiting", Attachment.next_try_at <= now())
        .order_by(Attachment.next_try_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if attachment is not None:
        attachment.attempts += 1
        attachment.next_try_at = now() + LEASE
    return attachment


def _fetch_one(attachment: Attachment, connection: Connection | None) -> None:
    try:
        if connection is None or not attachment.provider_url:
            raise Permanent("The connection it came over is gone.")
        channel = registry.adapter_for(connection.provider).open_channel(
            connection.id, connections.open_credentials(connection)
        )
        content, _ = channel.fetch_media(attachment.provider_url, media.MAX_BYTES)
        kind = media.kind_of(content)
        if kind is None:
            raise Permanent("This kind of file is not shown.")
        key = media.storage_key(attachment.account_id, attachment.id)
        runtime.current().storage.write(key, content)
        _note(
            attachment,
            state="stored",
            content_type=kind,
            size_bytes=len(content),
            storage_key=key,
            error_text=None,
        )
    except ProviderError as error:
        final = isinstance(error, Permanent) or attachment.attempts >= MOST_TRIES
        _note(
            attachment,
            state="failed" if final else "waiting",
            error_text=error.sentence,
            next_try_at=now() + backoff.wait(attachment.attempts),
        )
    except OSError as error:
        log.warning("media.not_stored", error=type(error).__name__)
        _note(attachment, next_try_at=now() + backoff.wait(attachment.attempts))
    except Exception as error:
        log.exception("media.broke", attachment=str(attachment.id))
        final = isinstance(error, ValueError) or attachment.attempts >= MOST_TRIES
        _note(
            attachment,
            state="failed" if final else "waiting",
            error_text="The picture could not be fetched.",
            next_try_at=now() + backoff.wait(attachment.attempts),
        )


def _note(attachment: Attachment, **values: object) -> None:
    """Writes the result and shows the message again, since its picture changed."""
    if attachment.message_id is None:
        return
    with tenancy.session_for(attachment.account_id) as session, suppress(NotFound):
        talk, message = conversations.lock_of_message(session, attachment.message_id)
        row = session.get_one(Attachment, attachment.id)
        for name, value in values.items():
            setattr(row, name, value)
        conversations.touch(session, talk, message)
        session.commit()
