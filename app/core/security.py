"""Headers on every answer, and the mark of the few views that need no sign-in."""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Response, request

from app.core import runtime

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; media-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'"
)
View = TypeVar("View", bound=Callable[..., Any])


def public(view: View) -> View:
    """The view may be opened by anybody: sign-in, mailed links, webhooks, health, media with a signed address."""
    view.is_public = True  # type: ignore[attr-defined]
    return view


def is_public(view: Callable[..., Any] | None) -> bool:
    return bool(getattr(view, "is_public", False))


def add_headers(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", POLICY)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    if runtime.current().settings.secure_cookies:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if request.endpoint == "static":
        return response
    headers.add("Vary", "HX-Request")
    headers.setdefault("Cache-Control", "no-store")
    return response


def add_headers_for_machines(response: Response) -> None:
    """On answers that no browser is meant to show."""
    headers = response.headers
    headers.add("Content-Security-Policy", POLICY)
    headers.add("X-Content-Type-Options", "nosniff")
    headers.add("Cache-Control", "no-store")
