"""What happens around every provider call: the log, the set latency, and the trouble that was ordered."""

import time
from typing import Any

from flask import Flask, Response, g, jsonify, request

from app.sandbox.faults import Fault
from app.sandbox.providers import provider_of
from app.sandbox.registry import Provider
from app.sandbox.server import DROP_HEADER
from app.sandbox.state import simulator

API_FAULTS = ("delay", "rate_limited", "quota", "server_error", "auth_failure", "reset", "lost_answer")

SECRETS = ("client_secret", "refresh_token", "token", "code", "code_verifier")


def guard(app: Flask) -> None:
    app.before_request(meet)
    app.after_request(see_off)


def meet() -> Response | None:
    """Log the start, wait as told, and answer in the view's place where a fault says so."""
    provider = provider_of(request.path)
    g.provider = provider
    if provider is None:
        return None
    g.started = time.monotonic()
    g.faults = []
    sim = simulator()
    if sim.settings.latency_ms:
        time.sleep(sim.settings.latency_ms / 1000)
    taken = sim.faults.take(
        API_FAULTS, provider.key, request.path, request.method, request.form.get("To", "")
    )
    g.faults = [fault.kind for fault in taken]
    g.lose_answer = "lost_answer" in g.faults
    for fault in taken:
        if fault.kind == "delay":
            time.sleep(fault.settings["delay_ms"] / 1000)
    return next((answer for fault in taken if (answer := _answer(provider, fault))), None)


def _answer(provider: Provider, fault: Fault) -> Response | None:
    statuses = {
        "rate_limited": 429,
        "quota": 403,
        "auth_failure": 401,
        "server_error": fault.settings.get("status", 500),
    }
    if fault.kind == "reset":
        return _dropped()
    if fault.kind not in statuses:
        return None
    status = int(statuses[fault.kind])
    answer = jsonify(provider.refuse_with(status))
    answer.status_code = status
    if fault.kind == "rate_limited":
        answer.headers["Retry-After"] = str(fault.settings["retry_after"])
    return answer


def _dropped() -> Response:
    answer = Response("", status=599)
    answer.headers[DROP_HEADER] = "reset"
    return answer


def see_off(answer: Response) -> Response:
    provider: Provider | None = g.get("provider")
    if provider is None:
        return answer
    simulator().journal.add_request(
        provider=provider.key,
        method=request.method,
        path=request.path,
        query=request.query_string.decode("latin-1"),
        form=_form(),
        caller=g.get("caller_name", ""),
        status=answer.status_code,
        answered=DROP_HEADER not in answer.headers and not g.lose_answer,
        faults=g.faults,
        code=_code(answer) if answer.status_code >= 400 else None,
        ms=round((time.monotonic() - g.started) * 1000, 1),
    )
    return _dropped() if g.lose_answer else answer


def _code(answer: Response) -> Any:
    """The provider's own code for a refusal: Twilio's number, Google's reason, OAuth's error."""
    body = answer.get_json(silent=True)
    if not isinstance(body, dict):
        return None
    error = body.get("error")
    if isinstance(error, dict):
        return next((each.get("reason") for each in error.get("errors") or ()), error.get("status"))
    return body.get("code") or error


def _form() -> dict[str, Any]:
    """What was sent, but for what opens doors: the log is on a page."""
    sent = {name: values if len(values) > 1 else values[0] for name, values in request.form.lists()}
    return {name: "hidden" if name in SECRETS else value for name, value in sent.items()}
