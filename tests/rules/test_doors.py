"""The walls of the house, asked at every door: sign-in, tenants, CSRF. A new route is covered as soon as it is there."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.core.security import is_public
from tests.factories import Cast, sign_in
from tests.rules.routes import Door, doors, rows_of

# Everything else asks for a sign-in. Whoever adds to this list says why nobody has to be known there.
PUBLIC = {
    "health.health",
    "health.live",
    "health.ready",
    # Guards itself: this machine, or METRICS_TOKEN as bearer.
    "metrics.metrics",
    "auth.sign_in",
    "auth.ask_reset",
    "auth.reset",
    "auth.invitation",
    "auth.home",
    "media.fetch",
    # What customers of a business see; forms carry a signed token, a booking is reached by its signed link.
    "booking.catalogue",
    "booking.logo",
    "booking.pick",
    "booking.details",
    "booking.book",
    "booking_waitlist.ask",
    "booking_waitlist.join",
    "booking_manage.show",
    "booking_manage.calendar_file",
    "booking_manage.ask_cancel",
    "booking_manage.cancel",
    "booking_manage.move",
    "booking_manage.confirm_move",
    "booking_manage.do_move",
    # The state says what it belongs to, and the browser that began it.
    "oauth.callback",
    # Its link is the key.
    "reconnect.show",
    "reconnect.go",
    "reconnect.thanks",
    # Checks the token of the push channel.
    "google.calendar",
    "twilio.inbound",
    "twilio.status",
}


def ask(client: FlaskClient, door: Door, address: str) -> int:
    return client.open(address, method=door.method).status_code


def test_the_public_views_are_the_listed_ones(app: Flask) -> None:
    marked = {name for name, view in app.view_functions.items() if is_public(view)}
    assert marked == PUBLIC


def test_everything_else_asks_for_a_sign_in(app: Flask, client: FlaskClient, cast: Cast) -> None:
    values = rows_of(cast, cast.account, cast.ben)
    for door in doors(app):
        if door.rule.endpoint in PUBLIC:
            continue
        answer = client.open(door.address(app, values), method=door.method)
        assert answer.status_code in (302, 303), f"{door} answers {answer.status_code} to nobody"
        assert answer.location.startswith("/sign-in"), door


def test_a_stranger_finds_no_account(app: Flask, client: FlaskClient, cast: Cast) -> None:
    """Dan asks at every address of Ben's account, with its real ids."""
    values = rows_of(cast, cast.account, cast.ben)
    sign_in(client, cast.dan)
    wrong = [
        f"{door}: {status}"
        for door in doors(app)
        if door.is_in_account and (status := ask(client, door, door.address(app, values))) != 404
    ]
    assert not wrong


def test_a_strangers_rows_are_not_in_my_account(app: Flask, client: FlaskClient, cast: Cast) -> None:
    """Ben's own account, but one id of the address after the other is of Dan's row."""
    mine = rows_of(cast, cast.account, cast.ben)
    theirs = rows_of(cast, cast.other_account, cast.dan)
    sign_in(client, cast.ben)
    wrong = []
    for door in doors(app):
        if not door.is_in_account:
            continue
        for name in sorted(door.row_ids):
            status = ask(client, door, door.address(app, {**mine, name: theirs[name]}))
            if status != 404:
                wrong.append(f"{door} with a foreign {name}: {status}")
    assert not wrong


def test_an_owner_reaches_nothing_of_another_agency(app: Flask, client: FlaskClient, cast: Cast) -> None:
    theirs = rows_of(cast, cast.other_account, cast.dan)
    sign_in(client, cast.ana)
    wrong = []
    for door in doors(app):
        if door.is_in_account or door.is_webhook or not door.row_ids:
            continue
        status = ask(client, door, door.address(app, theirs))
        if status != 404:
            wrong.append(f"{door}: {status}")
    assert not wrong


def test_webhooks_of_nobody_are_not_found(app: Flask, client: FlaskClient, cast: Cast) -> None:
    for door in doors(app):
        if door.is_webhook:
            address = door.address(app, {"connection_id": cast.account.id})
            assert ask(client, door, address) in (400, 403, 404), door


@pytest.fixture
def csrf_on(app: Flask) -> Iterator[None]:
    app.config["WTF_CSRF_ENABLED"] = True
    yield
    app.config["WTF_CSRF_ENABLED"] = False


@pytest.mark.usefixtures("csrf_on")
def test_every_change_needs_a_csrf_token(app: Flask, client: FlaskClient, cast: Cast) -> None:
    values = rows_of(cast, cast.account, cast.ana)
    sign_in(client, cast.ana)
    changing = [
        door
        for door in doors(app)
        if door.method not in ("GET", "HEAD") and not door.is_webhook and not door.is_for_guests
    ]
    assert len(changing) > 30
    open_doors = []
    for door in changing:
        answer = client.open(door.address(app, values), method=door.method)
        if answer.status_code != 400 or "open too long" not in answer.text:
            open_doors.append(f"{door}: {answer.status_code}")
    assert not open_doors


def test_reading_changes_nothing_by_get(app: Flask) -> None:
    """Deeds are posts: an address that a link, an image or a prefetch can open must not do anything."""
    deeds = ("delete", "remove", "archive", "cancel", "retry", "send", "sign-out", "disconnect", "restore")
    wrong = [
        str(door)
        for door in doors(app)
        if door.method == "GET" and door.rule.rule.rpartition("/")[2] in deeds
    ]
    assert not wrong


def test_every_answer_carries_the_policy(client: FlaskClient, cast: Cast) -> None:
    for path in ("/sign-in", "/health", "/nowhere", "/static/css/app.css"):
        answer = client.get(path)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"], path
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
