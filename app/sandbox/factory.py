"""Puts the simulator's web application together, in reading order."""

from pathlib import Path

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from app.sandbox import control, gate, pages
from app.sandbox.providers import PROVIDERS, provider_of
from app.sandbox.state import Simulator

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def create_sandbox(public_url: str = "", state_file: Path | None = None) -> Flask:
    """The app; `app.extensions["simulator"]` is its Simulator, to be stopped by the caller."""
    app = Flask("app.sandbox", static_folder="static", template_folder="templates")
    app.url_map.strict_slashes = False
    sim = Simulator(public_url, state_file)
    app.extensions["simulator"] = sim
    app.before_request(control.only_json)
    gate.guard(app)
    for provider in PROVIDERS:
        provider.install(app, sim)
    app.register_blueprint(control.blueprint)
    app.register_blueprint(pages.blueprint)
    app.register_error_handler(HTTPException, answer_error)
    app.after_request(protect)
    sim.restore()
    for provider in PROVIDERS:
        provider.resume(app)
    return app


def answer_error(error: HTTPException) -> Response:
    """JSON for machines, in the provider's words where a provider was called."""
    status = error.code or 500
    provider = provider_of(request.path)
    if provider:
        answer = jsonify(provider.refuse_with(404 if status == 405 else status))
    elif request.path.startswith("/_sim/"):
        answer = jsonify(error=error.description)
    else:
        return Response(f"{status} {error.name}\n", status=status, content_type="text/plain; charset=utf-8")
    answer.status_code = 404 if provider and status == 405 else status
    return answer


def protect(answer: Response) -> Response:
    answer.headers.setdefault("Content-Security-Policy", CSP)
    answer.headers.setdefault("X-Content-Type-Options", "nosniff")
    answer.headers.setdefault("Referrer-Policy", "no-referrer")
    return answer
