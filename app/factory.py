"""The web app, wired in reading order: runtime, request life, sign-in, pages, integrations, errors."""

from typing import Any

import structlog
from flask import Flask, Response, abort, current_app, g, request, url_for
from flask_login import LoginManager, current_user
from flask_wtf.csrf import CSRFProtect
from htmx_flask import Htmx
from werkzeug.middleware.proxy_fix import ProxyFix

from app.config import Settings, load
from app.core import compress, htmx, logs, request_log, request_scope, runtime, security
from app.core.actor import Actor
from app.core.provider_lane import App
from app.core.tenancy import enter_account
from app.domain import access
from app.integrations import registry
from app.web import context, error_pages, identity, pages

# The largest form a person sends: a text with ten pictures. Webhooks have a smaller limit of their own.
LARGEST_REQUEST = 25 * 1024 * 1024

login_manager = LoginManager()
csrf = CSRFProtect()


def create_app(settings: Settings | None = None) -> Flask:
    settings = settings or load()
    logs.set_up(settings.log_level)
    runtime.install(runtime.build(settings))
    app = App("app", template_folder="../templates", static_folder="../static")
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        SESSION_COOKIE_NAME="levelhead",
        MAX_CONTENT_LENGTH=LARGEST_REQUEST,
        MAX_FORM_MEMORY_SIZE=2 * 1024 * 1024,
        SEND_FILE_MAX_AGE_DEFAULT=31_536_000,
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=False,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    Htmx(app)
    csrf.init_app(app)
    login_manager.init_app(app)
    identity.set_up(login_manager)
    _set_up_request_life(app)
    context.set_up(app)
    for blueprint in pages.BLUEPRINTS:
        app.register_blueprint(blueprint)
    for blueprint in pages.WITHOUT_COOKIES:
        csrf.exempt(blueprint)
    for integration in registry.INTEGRATIONS:
        app.add_provider(integration.blueprint)
        csrf.exempt(integration.blueprint)
    error_pages.set_up(app)
    return app


def _set_up_request_life(app: Flask) -> None:
    app.before_request(request_log.begin)
    app.before_request(_need_sign_in)
    app.before_request(_enter_account)
    app.after_request(security.add_headers)
    app.after_request(compress.files_gzipped)
    app.after_request(request_log.finish)
    app.teardown_request(request_scope.close_db)


def _need_sign_in() -> Response | None:
    """Everything asks for a sign-in but views marked public and static files."""
    if request.endpoint is None or request.endpoint == "static":
        return None
    view = _view_of(request.endpoint)
    if current_user.is_authenticated:
        user = current_user.user
        g.actor = Actor(user.agency_id, user.id, user.name, request.remote_addr or "")
        return None
    if security.is_public(view):
        return None
    wanted = request.full_path if request.method == "GET" and not htmx.is_htmx() else None
    return htmx.go_to(url_for("auth.sign_in", next=wanted))


def _view_of(endpoint: str) -> Any:
    return current_app.view_functions.get(endpoint)


def _enter_account() -> None:
    """`<account>` in the URL is a slug: 404 for strangers, else the session sees that account's rows only."""
    slug = (request.view_args or {}).get("account")
    if slug is None:
        return
    if not current_user.is_authenticated:
        abort(404)
    g.access = access.enter(request_scope.db(), current_user.user, slug)
    g.account = g.access.account
    enter_account(request_scope.db(), g.account.id)
    structlog.contextvars.bind_contextvars(account=slug)
