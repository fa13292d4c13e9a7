"""Whatever address somebody opens, bookmarks or reloads is a whole page, or leads to one. Pieces of a page are for htmx."""

from flask import Flask
from flask.testing import FlaskClient

from tests.factories import Cast, sign_in
from tests.rules.routes import doors, rows_of


def test_no_address_shows_a_piece_of_a_page(app: Flask, client: FlaskClient, cast: Cast) -> None:
    values = rows_of(cast, cast.account, cast.ana)
    sign_in(client, cast.ana)
    pieces, pages, onward = [], 0, {}
    for door in doors(app):
        if door.method != "GET" or door.is_webhook:
            continue
        address = door.address(app, values)
        answer = client.get(address)
        if answer.status_code in (301, 302, 303):
            onward[str(door)] = answer.location
        elif answer.mimetype == "text/html":
            pages += 1
            if not answer.text.lstrip().lower().startswith("<!doctype html>"):
                pieces.append(str(door))
    assert pieces == []
    assert pages > 40
    for door, location in onward.items():
        if location.startswith("/"):
            assert client.get(location, follow_redirects=True).status_code in (200, 404), (door, location)
