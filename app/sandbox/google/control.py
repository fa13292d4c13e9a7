"""The simulator's own door to the played Google, for the demo's seed and for tests: /_sim/google/…"""

from dataclasses import asdict
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from app.sandbox.control import json_order
from app.sandbox.google import events, fortnight, tokens
from app.sandbox.google.access import public_url, world
from app.sandbox.google.errors import Refused
from app.sandbox.google.records import OWNER, Calendar, Client
from app.sandbox.google.times import zone_named
from app.sandbox.google.wire import event_json

blueprint = Blueprint("google_control", __name__, url_prefix="/_sim/google")


@blueprint.errorhandler(Refused)
def refused(refusal: Refused) -> Response:
    answer = jsonify(error=refusal.message)
    answer.status_code = refusal.status
    return answer


def refuse(sentence: str, status: int = 400) -> ResponseReturnValue:
    return jsonify(error=sentence), status


def overview(email: str) -> dict[str, Any]:
    """A person with calendars and what they allowed to which app."""
    the = world()
    with the.lock:
        alive = [t for t in the.tokens.values() if t.email == email and tokens.is_alive(t)]
        return asdict(the.accounts[email]) | {
            "calendars": [
                {
                    "id": each.id,
                    "summary": each.summary,
                    "role": each.roles[email],
                    "unreadable": each.unreadable,
                    "events": len(each.events),
                }
                for each in the.calendars_of(email)
            ],
            "grants": [
                asdict(grant)
                | {
                    kind: sum(t.kind == kind and t.client_id == grant.client_id for t in alive)
                    for kind in ("access", "refresh")
                }
                for grant in the.grants.values()
                if grant.email == email
            ],
            "channels": sum(each.email == email for each in the.channels.values()),
        }


@blueprint.post("/accounts")
def register_account() -> ResponseReturnValue:
    """Again is harmless. With `fill` a new account has a believable fortnight in its calendars."""
    order = json_order()
    email = str(order.get("email") or "").strip().lower()
    if "@" not in email:
        return refuse("An account needs an email.")
    zone = str(order.get("timezone") or "UTC")
    zone_named(zone, "account's")
    is_new = email not in world().accounts
    account = world().welcome(email, str(order.get("name") or ""), zone)
    if is_new and order.get("fill"):
        fortnight.fill(world(), account)
    return overview(account.email), 201 if is_new else 200


@blueprint.get("/accounts")
def list_accounts() -> ResponseReturnValue:
    return {"accounts": [overview(email) for email in list(world().accounts)]}


@blueprint.post("/calendars")
def add_calendar() -> ResponseReturnValue:
    """A further calendar of somebody: {email, id, summary, timezone?, role?}."""
    order = json_order()
    account = world().accounts.get(str(order.get("email")))
    if account is None or not order.get("id"):
        return refuse("A calendar needs the email of an account and an id.")
    zone = zone_named(str(order.get("timezone") or account.timezone), "calendar's").key
    role = str(order.get("role") or OWNER)
    summary = str(order.get("summary") or order["id"])
    world().add_calendar(Calendar(str(order["id"]), summary, zone, {account.email: role}))
    return overview(account.email), 201


@blueprint.post("/timezone")
def change_timezone() -> ResponseReturnValue:
    """{email, calendar?, timezone}: the calendar is moved to another zone, as its settings page does."""
    order = json_order()
    calendar = world().calendar_of(str(order.get("email")), str(order.get("calendar") or "primary"))
    calendar.timezone = zone_named(str(order.get("timezone")), "calendar's").key
    world().touch()
    return {"calendar": calendar.id, "timezone": calendar.timezone}


@blueprint.post("/clients")
def register_client() -> ResponseReturnValue:
    """An app that is held to its secret and to its redirect addresses."""
    order = json_order()
    if not order.get("client_id") or not order.get("client_secret"):
        return refuse("An app needs a client_id and a client_secret.")
    addresses = [str(each) for each in order.get("redirect_uris") or ()]
    client = Client(str(order["client_id"]), str(order["client_secret"]), addresses, True)
    with world().lock:
        world().clients[client.id] = client
        world().touch()
    return {"client_id": client.id, "redirect_uris": addresses}


@blueprint.post("/grants")
def mint_tokens() -> ResponseReturnValue:
    """Tokens without a browser: {email, client_id, client_secret?, scopes}."""
    order = json_order()
    email, client_id = str(order.get("email") or "").lower(), str(order.get("client_id") or "")
    if email not in world().accounts or not client_id:
        return refuse("Say the email of an account and a client_id.")
    with world().lock:
        world().clients.setdefault(client_id, Client(client_id, str(order.get("client_secret") or "")))
    return tokens.mint(world(), email, client_id, [str(each) for each in order.get("scopes") or ()])


@blueprint.post("/tokens")
def act_on_tokens() -> ResponseReturnValue:
    """{email, do: revoke | expire | expire_refresh, client_id?}: what the panel's buttons do; every app if none is named."""
    order = json_order()
    email, deed = str(order.get("email") or "").lower(), order.get("do")
    named = order.get("client_id")
    apps = [named] if named else [client for mail, client in list(world().grants) if mail == email]
    if deed == "revoke":
        return {"tokens": sum(tokens.take_back(world(), email, each) for each in apps)}
    if deed in ("expire", "expire_refresh"):
        kind = "access" if deed == "expire" else "refresh"
        return {"tokens": sum(tokens.expire(world(), email, each, kind) for each in apps)}
    return refuse("`do` is revoke, expire or expire_refresh.")


@blueprint.post("/settings")
def change_settings() -> ResponseReturnValue:
    try:
        with world().lock:
            world().settings.change(json_order())
            world().touch()
    except (ValueError, TypeError) as error:
        return refuse(str(error))
    return asdict(world().settings)


@blueprint.get("/settings")
def show_settings() -> ResponseReturnValue:
    return asdict(world().settings)


@blueprint.post("/forget-syncs")
def forget_syncs() -> ResponseReturnValue:
    """Sync tokens given so far are answered with 410; {email?}."""
    order = request.get_json(silent=True) or {}
    return {"calendars": world().forget_syncs(str(order.get("email") or ""))}


@blueprint.post("/unreadable")
def make_unreadable() -> ResponseReturnValue:
    """{email, calendar?, unreadable}: a calendar that cannot be read for now."""
    order = json_order()
    calendar = world().calendar_of(str(order.get("email")), str(order.get("calendar") or "primary"))
    calendar.unreadable = bool(order.get("unreadable", True))
    world().touch()
    return {"calendar": calendar.id, "unreadable": calendar.unreadable}


# Events, as the person would make them in the calendar's own page


def _place() -> tuple[str, Calendar]:
    email = request.args.get("email", "").lower()
    return email, world().calendar_of(email, request.args.get("calendar", "primary"))


@blueprint.get("/events")
def list_events() -> ResponseReturnValue:
    """Everything in the calendar as it is kept, cancelled events too; `?email=&calendar=`."""
    email, calendar = _place()
    with world().lock:
        kept = list(calendar.events.values())
    return {"events": [event_json(each, calendar, email, public_url(), ZoneInfo("UTC")) for each in kept]}


@blueprint.post("/events")
def add_event() -> ResponseReturnValue:
    email, calendar = _place()
    event = events.insert(world(), calendar, email, json_order(), meet=True)
    return event_json(event, calendar, email, public_url()), 201


@blueprint.post("/events/<event_id>")
def change_event(event_id: str) -> ResponseReturnValue:
    """Patch semantics; {"status": "cancelled"} deletes."""
    email, calendar = _place()
    event = events.change(world(), calendar, email, event_id, json_order(), by_person=True)
    return event_json(event, calendar, email, public_url())


@blueprint.delete("/events/<event_id>")
def delete_event(event_id: str) -> ResponseReturnValue:
    email, calendar = _place()
    events.delete(world(), calendar, email, event_id)
    return "", 204
