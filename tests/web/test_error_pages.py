"""What a page that fails says, and to whom."""

from flask import Flask
from flask.testing import FlaskClient

from tests.factories import Cast, sign_in


def page_of(client: FlaskClient, path: str) -> str:
    return client.get(path).get_data(as_text=True)


def test_customers_of_a_business_are_not_led_to_our_sign_in(client: FlaskClient, cast: Cast) -> None:
    for path in ("/book/nobody-here", f"/book/{cast.account.slug}/gone", "/b/nonsense", "/b/nonsense/move"):
        answer = client.get(path)
        page = answer.get_data(as_text=True)
        assert answer.status_code == 404, path
        assert "This page is not here" in page and "ask the business" in page, path
        assert 'href="/"' not in page and "Levelhead" not in page, path
    assert 'href="/"' in page_of(client, "/nowhere")


def test_who_may_not_is_told_once_who_may(app: Flask, cast: Cast) -> None:
    cleo = sign_in(app.test_client(), cast.cleo)
    page = page_of(cleo, f"/a/{cast.account.slug}/settings/connections")
    assert page.count("Only an admin of this account can do that. Ask one of them.") == 1
    assert "Ask an admin of this account" not in page
