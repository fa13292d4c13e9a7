"""Structured logs: one JSON line per request and per job, with account, request and job id; never bodies, tokens or
whole phone numbers."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_PHONE = re.compile(r"\+\d{5,}(\d{2})")
_SECRET_KEYS = ("token", "secret", "password", "authorization", "body", "signature", "cookie")


def _mask(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in entry.items():
        if any(word in key.lower() for word in _SECRET_KEYS):
            entry[key] = "…"
        elif isinstance(value, str):
            entry[key] = without_numbers(value)
    return entry


def without_numbers(text: str) -> str:
    """The text with the last two digits of its phone numbers only."""
    return _PHONE.sub(r"+…\1", text)


def set_up(level: str, *, for_people: bool = False) -> None:
    """Logs go to stderr: JSON for machines, columns for a terminal."""
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=False) if for_people else structlog.processors.JSONRenderer()
    )
    logging.basicConfig(level=level, stream=sys.stderr, format="%(message)s")
    for noisy in ("rq", "twilio", "urllib3", "werkzeug", "twilio.http_client"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _mask,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping().get(level, 20)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
