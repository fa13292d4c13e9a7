"""What every integration offers to the rest of the house."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint

from app.domain.channels import IncomingText, Report, TextChannel
from app.domain.connecting import TextAccount

Payload = dict[str, Any]


@dataclass(frozen=True)
class Integration:
    """`key` is the provider's name in our tables; `open_channel` and `open_account` take the connection's id and opened
    credentials: one to send with, one to set up with."""

    key: str
    name: str
    blueprint: Blueprint
    open_channel: Callable[[uuid.UUID, dict[str, str]], TextChannel]
    open_account: Callable[[uuid.UUID, dict[str, str]], TextAccount]
    # From a stored payload to our words; raise ValueError for what cannot be read.
    parse_inbound: Callable[[Payload], IncomingText]
    parse_report: Callable[[Payload], Report]
    # What a provider's error code means and what to do next, '' when unknown; and whether the same text may go better.
    explain: Callable[[str], str]
    retry_helps: Callable[[str], bool]
