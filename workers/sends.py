"""Sends what one number has to send: the drain of the domain with the provider's channel put in."""

import uuid

import structlog

from app.core import bells, jobs, runtime, tenancy
from app.core.crypto import SealBroken
from app.core.ids import parse_id
from app.domain import connections
from app.domain.channels import TextChannel
from app.domain.sending import drain as sending
from app.domain.sending.claim import Desk
from app.integrations import registry
from workers import stopping

log = structlog.get_logger()


def drain(sender_id: str) -> None:
    bells.take_down(runtime.current().redis, jobs.DRAIN_SENDER.function, (sender_id,))
    found = parse_id(sender_id)
    if found is None:
        return
    try:
        count = sending.drain(found, open_channel, stopping.keep_on)
    except Unreadable as error:
        _pause(error.connection_id)
        return
    if count:
        log.info("sent", sender=sender_id, texts=count)


def open_channel(desk: Desk) -> TextChannel:
    integration = registry.adapter_for(desk.connection.provider)
    try:
        credentials = connections.open_credentials(desk.connection)
    except SealBroken as error:
        raise Unreadable(desk.connection.id) from error
    return integration.open_channel(desk.connection.id, credentials)


class Unreadable(Exception):
    """The connection's credentials cannot be opened: its texts wait until a person types them in anew."""

    def __init__(self, connection_id: uuid.UUID) -> None:
        super().__init__(str(connection_id))
        self.connection_id = connection_id


def _pause(connection_id: uuid.UUID) -> None:
    log.error("sending.unreadable_credentials", connection=str(connection_id))
    with tenancy.session_for() as session:
        connections.need_reconnect(session, connection_id, connections.UNREADABLE)
        session.commit()
