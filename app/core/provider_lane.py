"""The short way through Flask for calls of providers: no person calls, so there is no cookie, session, sign-in, CSRF token
or HTMX to look for, and nothing of a page to prepare.

The blueprints of the integrations are served by a small Flask of their own; the large one knows them too, so that its map
of addresses is whole. They answer for the rest themselves: each checks a signature.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, Request, Response
from flask.sessions import SecureCookieSessionInterface

from app.core import request_log, request_scope, security

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PREFIX = "/webhooks/"


class _NoSession(SecureCookieSessionInterface):
    def open_session(self, app: Flask, request: Request) -> Any:
        return self.make_null_session(app)


class Doors(Flask):
    """Where providers call."""

    session_interface = _NoSession()

    def __init__(self) -> None:
        super().__init__("doors", static_folder=None)
        self.teardown_request(request_scope.close_db)

    def full_dispatch_request(self) -> Response:
        request_log.begin()
        try:
            answer = self.dispatch_request()
        except Exception as error:
            answer = self.handle_user_exception(error)
        return self.finalize_request(answer)

    def process_response(self, response: Response) -> Response:
        security.add_headers_for_machines(response)
        return request_log.finish(response)


class App(Flask):
    """Flask with a short way for the blueprints that were given to `add_provider`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.doors = Doors()

    def add_provider(self, blueprint: Blueprint) -> None:
        self.register_blueprint(blueprint)
        self.doors.register_blueprint(blueprint)

    def wsgi_app(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ.get("PATH_INFO", "").startswith(PREFIX):
            return self.doors.wsgi_app(environ, start_response)
        return super().wsgi_app(environ, start_response)
