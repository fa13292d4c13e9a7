"""What every integration offers to the rest of the house."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint

from app.domain.channels import IncomingText, Report, TextChannel

Payload = dict[str, Any]


@dataclass(frozen=True)
class Integration:
    """`key` is the provider's name in our tables; `open_channel` takes the connection's id and opened credentials."""

    key: str
    name: str
    blueprint: Blueprint
    open_channel: Callable[[uuid.UUID, dict[str, str]], TextChannel]
    # From a stored payload to our words; raise ValueError for what cannot be read.
    parse_inbound: Callable[[Payload], IncomingText]
    parse_report: Callable[[Payload], Report]
