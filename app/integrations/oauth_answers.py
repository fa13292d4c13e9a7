"""What token endpoints answer, looked at before it is believed. https://datatracker.ietf.org/doc/html/rfc6749#section-5

A page that a proxy wrote, an empty token or a number that is none is trouble on the way: it says nothing about the grant,
and must neither count against it nor replace what is stored.
"""

import math
from collections.abc import Mapping
from typing import Any

import requests

from app.core.errors import Temporary
from app.domain.tokens import Granted

LONGEST_S = 10 * 366 * 86400.0


def need_token_answer(response: requests.Response, name: str) -> None:
    """Raises Temporary for what is neither tokens nor a refusal in the form of RFC 6749."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or not (_is_refusal(body) or (response.ok and _is_grant(body))):
        raise Temporary(f"An answer came that is not {name}'s ({response.status_code}).", "unreadable")


def _is_refusal(body: Mapping[str, Any]) -> bool:
    return isinstance(body.get("error"), str) and bool(body["error"])


def _is_grant(body: Mapping[str, Any]) -> bool:
    token, refresh = body.get("access_token"), body.get("refresh_token")
    return (
        isinstance(token, str)
        and bool(token)
        and (refresh is None or isinstance(refresh, str))
        and all(_is_span(body.get(field)) for field in ("expires_in", "refresh_token_expires_in"))
    )


def _is_span(value: Any) -> bool:
    """Seconds, which some write as text."""
    if value is None:
        return True
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return False
    return math.isfinite(seconds) and 0 <= seconds <= LONGEST_S


def granted(found: Mapping[str, Any]) -> Granted:
    """From an answer that was looked at."""
    scope = found.get("scope") or ""
    listed = scope.split() if isinstance(scope, str) else [str(one) for one in scope]
    seconds, ends = found.get("expires_in"), found.get("refresh_token_expires_in")
    return Granted(
        access_token=str(found.get("access_token") or ""),
        refresh_token=str(found.get("refresh_token") or ""),
        expires_in=None if seconds is None else float(seconds),
        scopes=tuple(listed),
        ends_in=None if ends is None else float(ends),
    )
