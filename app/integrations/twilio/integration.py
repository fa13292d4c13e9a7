"""Twilio's entry in the registry.

The official library takes 0.4 s to import, and the web process starts without it: what calls Twilio is loaded at the
first call, by name.
"""

import importlib
import uuid

from app.core import runtime
from app.domain.channels import TextChannel
from app.domain.connecting import TextAccount
from app.integrations.base import TextIntegration
from app.integrations.twilio import errors
from app.integrations.twilio.blueprint import blueprint
from app.integrations.twilio.inbound import parse_inbound, parse_report


def open_channel(connection_id: uuid.UUID, credentials: dict[str, str]) -> TextChannel:
    settings = runtime.current().settings
    adapter = importlib.import_module("app.integrations.twilio.adapter")
    channel: TextChannel = adapter.TwilioChannel(
        connection_id, credentials, settings.hosts, settings.public_url
    )
    return channel


def open_account(connection_id: uuid.UUID, credentials: dict[str, str]) -> TextAccount:
    settings = runtime.current().settings
    module = importlib.import_module("app.integrations.twilio.account")
    account: TextAccount = module.TwilioAccount(
        connection_id, credentials, settings.hosts, settings.public_url
    )
    return account


TWILIO = TextIntegration(
    key="twilio",
    name="Twilio",
    blueprint=blueprint,
    open_channel=open_channel,
    open_account=open_account,
    parse_inbound=parse_inbound,
    parse_report=parse_report,
    explain=errors.explain,
    retry_helps=errors.retry_helps,
)
