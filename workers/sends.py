"""Sends what one number has to send: the drain of the domain with the provider's channel put in."""

import structlog

from app.core import bells, jobs, runtime
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
    count = sending.drain(found, open_channel, stopping.keep_on)
    if count:
        log.info("sent", sender=sender_id, texts=count)


def open_channel(desk: Desk) -> TextChannel:
    integration = registry.adapter_for(desk.connection.provider)
    return integration.open_channel(desk.connection.id, connections.open_credentials(desk.connection))
