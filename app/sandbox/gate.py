"""What happens around every provider call: the log, the set latency, and the trouble that was ordered."""

import time
from typing import Any

from flask import Flask, Response, g, jsonify, request

from app.sandbox.faults import Fault
from app.sandbox.providers import provider_of
from app.sandbox.registry import Provider
from app.sandbox.server import DROP_HEADER
from app.sandbox.state import simulator

API_FAULTS = ("delay", "rate_limited", "server_error", "auth_failure", "reset", "lost_answer")


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
    statuses = {"rate_limited": 429, "auth_failure": 401, "server_error": fault.settings.get("status", 500)}
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
        status=answer.status_code,
        answered=DROP_HEADER not in answer.headers and not g.lose_answer,
        faults=g.faults,
        code=(answer.get_json(silent=True) or {}).get("code") if answer.status_code >= 400 else None,
        ms=round((time.monotonic() - g.started) * 1000, 1),
    )
    return _dropped() if g.lose_answer else answer


def _form() -> dict[str, Any]:
    return {name: values if len(values) > 1 else values[0] for name, values in request.form.lists()}
