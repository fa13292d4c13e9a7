"""What every integration offers to the rest of the house."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint

from app.domain.calendar_channel import CalendarAccount
from app.domain.channels import IncomingText, Report, TextChannel
from app.domain.connecting import TextAccount

Payload = dict[str, Any]


@dataclass(frozen=True)
class Integration:
    """`key` is the provider's name in our tables; `blueprint` is where it calls us."""

    key: str
    name: str
    blueprint: Blueprint


@dataclass(frozen=True)
class TextIntegration(Integration):
    """Carries texts. `open_channel` and `open_account` take the connection's id and opened credentials: one to send with, one
    to set up with."""

    open_channel: Callable[[uuid.UUID, dict[str, str]], TextChannel]
    open_account: Callable[[uuid.UUID, dict[str, str]], TextAccount]
    # From a stored payload to our words; raise ValueError for what cannot be read.
    parse_inbound: Callable[[Payload], IncomingText]
    parse_report: Callable[[Payload], Report]
    # What a provider's error code means and what to do next, '' when unknown; and whether the same text may go better.
    explain: Callable[[str], str]
    retry_helps: Callable[[str], bool]


@dataclass(frozen=True)
class CalendarIntegration(Integration):
    """Keeps people's calendars. `open_calendars` takes the connection's id, and how many seconds there is time for a call
    when somebody waits."""

    open_calendars: Callable[[uuid.UUID, float | None], CalendarAccount]
