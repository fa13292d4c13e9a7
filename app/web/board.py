"""The agency's board of connections: accounts by providers, what is broken first to be seen, and links to mend it.

For people of the agency, each over the accounts they may enter.
"""

import uuid
from typing import Any

from flask import Blueprint, flash, render_template, request
from flask_login import current_user
from sqlalchemy import func, select, tuple_
from werkzeug.wrappers import Response

from app.core import htmx
from app.core.errors import Forbidden, Invalid, NotFound
from app.core.ids import parse_id
from app.core.request_scope import actor, db
from app.domain import access, accounts, connect_links, connections
from app.integrations import registry
from app.integrations.standing import standings
from app.models.account import Account
from app.models.connection import Connection
from app.web.agency import need_agency

blueprint = Blueprint("board", __name__, url_prefix="/agency/connections")

HOME = "/agency/connections"
PAGE = 50
MOST_LINKS = 200


@blueprint.get("")
def index() -> str:
    need_agency()
    return render_template("agency/board.html", **_listed())


def _listed() -> dict[str, Any]:
    """One page of accounts by name, with their connections; keyset on (name, id)."""
    name, query = func.lower(Account.name), access.accounts_of(current_user.user)
    broken = request.args.get("show") == "broken"
    if broken:
        query = query.where(
            Account.id.in_(
                select(Connection.account_id).where(Connection.state.in_((*connections.LOST, "degraded")))
            )
        )
    after_name, after_id = request.args.get("after", ""), parse_id(request.args.get("after_id"))
    if after_id is not None:
        query = query.where(tuple_(name, Account.id) > tuple_(after_name, after_id))
    found = list(db().scalars(query.order_by(name, Account.id).limit(PAGE + 1)))
    rows, more = found[:PAGE], len(found) > PAGE
    listed = _connections_of(rows)
    return {
        "nav": "agency-connections",
        "rows": rows,
        "cells": _cells(listed),
        "providers": _providers(),
        "standing": standings(listed),
        "links": connect_links.waiting(db(), [connection.id for connection in listed]),
        "sent_to": connect_links.addresses_for(db(), [one for one in listed if one.is_oauth]),
        "health": accounts.health(db(), current_user.user.agency_id, [row.id for row in rows]),
        "broken": broken,
        "lost": connections.LOST,
        "last": rows[-1] if more else None,
        "paged": after_id is not None,
    }


def _providers() -> list[tuple[str, str]]:
    typed = [(one.key, one.name) for one in registry.INTEGRATIONS]
    by_consent = [(one.key, one.name) for one in registry.OAUTH_PROVIDERS]
    return list(dict([*typed, *by_consent]).items())


def _connections_of(rows: list[Account]) -> list[Connection]:
    return list(
        db().scalars(
            select(Connection)
            .where(Connection.account_id.in_([row.id for row in rows]))
            .order_by(Connection.state == "disconnected", Connection.created_at)
        )
    )


def _cells(listed: list[Connection]) -> dict[tuple[uuid.UUID, str], list[Connection]]:
    found: dict[tuple[uuid.UUID, str], list[Connection]] = {}
    for connection in listed:
        found.setdefault((connection.account_id, connection.provider), []).append(connection)
    return found


@blueprint.post("/links")
def send_links() -> Response:
    """To the ticked ones, or to the one whose button was pressed. Whoever has no address known is named."""
    need_agency()
    pressed = request.form.get("only")
    ids = [parse_id(text) for text in ([pressed] if pressed else request.form.getlist("connection"))][
        :MOST_LINKS
    ]
    chosen = [_mine(connection_id) for connection_id in ids if connection_id is not None]
    if not chosen:
        flash("Tick the connections first.", "warning")
        return htmx.go_to(HOME)
    sent, without, held = 0, [], []
    addresses = connect_links.addresses_for(db(), [one for one in chosen if one.is_oauth])
    for connection in chosen:
        address = addresses.get(connection.id, "")
        if not address:
            without.append(connection.title)
            continue
        try:
            connect_links.make(db(), actor(), connection, send_to=address)
        except Invalid as wrong:
            held.append(str(wrong))
            continue
        sent += 1
    db().commit()
    if sent:
        flash(
            f"{sent} reconnect link{'' if sent == 1 else 's'} sent. Each works once, for two days.", "success"
        )
    if held:
        flash(held[0], "warning")
    if without:
        flash(
            f"No address is known for {', '.join(without[:5])}. Make a link on its card and send it yourself.",
            "warning",
        )
    return htmx.go_to(HOME + ("?show=broken" if request.form.get("show") == "broken" else ""))


def _mine(connection_id: uuid.UUID) -> Connection:
    """One of an account that this person may enter. NotFound for all others."""
    found = db().get(Connection, connection_id)
    if found is None:
        raise NotFound
    mine = access.accounts_of(current_user.user).where(Account.id == found.account_id)
    if db().scalar(mine.with_only_columns(Account.id)) is None:
        raise NotFound
    if found.state == "disconnected" and not found.is_oauth:
        raise Forbidden("This connection was disconnected. Reconnect it on its page.")
    return found
