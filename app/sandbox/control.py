"""The simulator's own JSON door: /_sim/… for faults, settings, logs, mails and a fresh start.

It changes the played world without a password, so it takes JSON only: a form on some web page cannot post to it.
"""

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, abort, jsonify, request
from flask.typing import ResponseReturnValue

from app.sandbox.faults import KINDS, BadFault
from app.sandbox.state import simulator

blueprint = Blueprint("control", __name__, url_prefix="/_sim")


def only_json() -> Response | None:
    """Before every request under /_sim."""
    if not request.path.startswith("/_sim/") or request.method in ("GET", "HEAD"):
        return None
    if request.method == "DELETE" or request.is_json or not request.content_length:
        if request.headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none"):
            return None
        return _refuse("Only the simulator's own pages may do this.", 403)
    return _refuse("Send JSON.", 415)


def json_order() -> dict[str, Any]:
    """The JSON object sent along; anything else is answered with 400."""
    order = request.get_json()
    if not isinstance(order, dict):
        abort(400, "Send one JSON object.")
    return order


def _refuse(sentence: str, status: int = 400) -> Response:
    answer = jsonify(error=sentence)
    answer.status_code = status
    return answer


@blueprint.get("/health")
def health() -> ResponseReturnValue:
    return {"ok": True, "idle": simulator().outbound.is_idle()}


@blueprint.get("/faults")
def list_faults() -> ResponseReturnValue:
    kinds = {kind: {"acts_on": acts_on, "settings": settings} for kind, (acts_on, settings) in KINDS.items()}
    return {"faults": simulator().faults.list(), "kinds": kinds}


@blueprint.post("/faults")
def add_fault() -> ResponseReturnValue:
    try:
        return simulator().faults.add(json_order()).describe(), 201
    except BadFault as error:
        return _refuse(str(error))


@blueprint.delete("/faults")
def clear_faults() -> ResponseReturnValue:
    return {"removed": simulator().faults.clear()}


@blueprint.delete("/faults/<int:fault_id>")
def clear_fault(fault_id: int) -> ResponseReturnValue:
    return {"removed": simulator().faults.clear(fault_id)}


@blueprint.get("/settings")
def show_settings() -> ResponseReturnValue:
    return asdict(simulator().settings)


@blueprint.post("/settings")
def change_settings() -> ResponseReturnValue:
    try:
        return simulator().change_settings(json_order())
    except (ValueError, TypeError) as error:
        return _refuse(str(error))


@blueprint.post("/reset")
def reset() -> ResponseReturnValue:
    order = request.get_json(silent=True) or {}
    simulator().reset(keep_accounts=bool(order.get("keep_accounts")))
    return {"ok": True}


def _asked(*names: str) -> tuple[int, dict[str, str]]:
    limit = request.args.get("limit", 1000, type=int)
    return limit, {name: request.args[name] for name in names if request.args.get(name)}


@blueprint.get("/requests")
def requests() -> ResponseReturnValue:
    limit, match = _asked("provider", "method", "path", "status")
    return {"requests": simulator().journal.requests(limit, **match)}


@blueprint.get("/webhooks")
def webhooks() -> ResponseReturnValue:
    limit, match = _asked("provider", "event", "status", "url")
    return {"webhooks": simulator().journal.webhooks(limit, **match)}


@blueprint.get("/mails")
def mails() -> ResponseReturnValue:
    found: list[dict[str, Any]] = [asdict(letter) for letter in simulator().mailbox.all()]
    to = request.args.get("to")
    return {"mails": [letter for letter in found if not to or to in letter["recipients"]]}
