"""The few answers HTMX needs beside HTML: nothing new, go elsewhere, tell the page that something happened."""

import functools
import json
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from flask import Response, make_response, redirect, request, url_for

P = ParamSpec("P")
Answer = TypeVar("Answer")


def is_htmx() -> bool:
    """A partial is wanted: an HTMX request that is not a whole-page navigation."""
    return request.headers.get("HX-Request") == "true" and request.headers.get("HX-Boosted") != "true"


def nothing_new() -> Response:
    return Response(status=204)


def go_to(url: str) -> Response:
    """A redirect that works for a plain form and for an HTMX request alike."""
    if request.headers.get("HX-Request") == "true":
        response = Response(status=204)
        response.headers["HX-Redirect"] = url
        return response
    return make_response(redirect(url, code=303))


def piece_of(endpoint: str) -> Callable[[Callable[P, Answer]], Callable[P, Answer | Response]]:
    """For a view whose answer is a piece of the page of `endpoint`: whoever opens its address is led to that page. What the
    view refuses stays refused."""

    def wrap(view: Callable[P, Answer]) -> Callable[P, Answer | Response]:
        @functools.wraps(view)
        def piece(*args: P.args, **kwargs: P.kwargs) -> Answer | Response:
            answer = view(*args, **kwargs)
            return answer if is_htmx() else go_to(url_for(endpoint, **(request.view_args or {})))

        return piece

    return wrap


def trigger(response: Response, name: str, detail: dict[str, Any] | None = None) -> Response:
    """Fire a browser event after the swap; several may be added."""
    present = json.loads(response.headers.get("HX-Trigger") or "{}")
    present[name] = detail or {}
    response.headers["HX-Trigger"] = json.dumps(present)
    return response


def toast(response: Response, text: str, *, kind: str = "success", undo_url: str = "") -> Response:
    """A short notice at the edge of the page, with an Undo button when `undo_url` is given (it is POSTed to)."""
    return trigger(response, "toast", {"text": text, "kind": kind, "undo_url": undo_url})
