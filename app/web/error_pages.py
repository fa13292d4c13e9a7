"""Every failure as a page or, for HTMX, as a short notice; with a sentence and a next step."""

import structlog
from flask import Flask, Response, current_app, g, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DataError, OperationalError
from werkzeug.exceptions import HTTPException

from app.core import htmx, request_scope
from app.core.errors import Forbidden, Invalid, NotFound

log = structlog.get_logger()

WORDS = {
    400: ("That request was not understood", "Go back, reload the page and try again."),
    403: ("You may not do that", "Ask an admin of this account."),
    404: ("Nothing here", "The address may be wrong, or you may not have access to it."),
    405: ("That does not work this way", "Go back and try again from the page."),
    413: ("That is too large", "Send something smaller than 25 MB."),
    422: ("Something needs mending", "Check what you typed and try again."),
    429: ("Too many tries", "Wait a minute, then try again."),
    500: ("Something went wrong on our side", "It was logged. Try again; if it stays, tell your agency."),
    503: (
        "Not available just now",
        "The database cannot be reached. Nothing is lost; try again in a minute.",
    ),
}

# What is said instead to the customers of a business: they have no account here, and nobody to ask but the business.
GUEST_PATHS = ("/book/", "/b/")
GUEST_WORDS = {
    404: (
        "This page is not here",
        "The link may be old or not whole. Please ask the business for a new one.",
    ),
    405: ("That does not work this way", "Go back and try again from the page."),
    429: ("Too many tries", "Wait a minute, then try again."),
    500: ("Something went wrong on our side", "Nothing you did is to blame. Please try again in a minute."),
    503: ("Back in a moment", "Bookings cannot be reached just now. Please try again in a minute."),
}


def _answer(status: int, sentence: str = "") -> Response:
    _ask_nobody()
    title, step = WORDS.get(status, WORDS[400 if status < 500 else 500])
    is_guest = request.path.startswith(GUEST_PATHS)
    if is_guest:
        title, step = GUEST_WORDS.get(status, (title, step))
    if status == 403 and sentence:
        # A Forbidden says itself who may.
        step = ""
    if htmx.is_htmx():
        response = make_response("", status)
        response.headers["HX-Reswap"] = "none"
        return htmx.toast(response, sentence or f"{title}. {step}", kind="danger")
    if request.accept_mimetypes.best == "application/json":
        return make_response({"error": sentence or title, "next": step}, status)
    page = render_template(
        "error.html", status=status, title=title, sentence=sentence, next_step=step, is_guest=is_guest
    )
    return make_response(page, status)


def _ask_nobody() -> None:
    """The page that says so must not ask a database that is away or in the middle of a failed transaction. Every template
    is given the signed-in person, so whoever was not read yet is nobody."""
    g.stands_alone = True
    if "_login_user" not in g:
        g._login_user = current_app.login_manager.anonymous_user()  # type: ignore[attr-defined]


def _http(error: HTTPException) -> Response:
    if error.code is not None and error.code < 400:
        return make_response(error.get_response())
    return _answer(error.code or 500)


def _csrf(error: CSRFError) -> Response:
    return _answer(400, "This page was open too long. Reload it and try again.")


def _database(error: OperationalError) -> Response:
    log.error("database.unreachable", error=str(error.orig)[:200])
    return _answer(503)


def _nonsense(error: DataError) -> Response:
    """What no column can hold: NUL in a text, a number or a time beyond every calendar. Nobody types that by chance."""
    request_scope.db().rollback()
    log.warning("request.nonsense", endpoint=request.endpoint, error=type(error.orig).__name__)
    return _answer(400)


def _unexpected(error: Exception) -> Response:
    log.exception("request.failed", endpoint=request.endpoint)
    return _answer(500)


def set_up(app: Flask) -> None:
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(NotFound, lambda e: _answer(404))
    app.register_error_handler(Forbidden, lambda e: _answer(403, str(e)))
    app.register_error_handler(Invalid, lambda e: _answer(422, str(e)))
    app.register_error_handler(OperationalError, _database)
    app.register_error_handler(DataError, _nonsense)
    if not app.testing:
        app.register_error_handler(Exception, _unexpected)
