"""Nonsense at every door: NUL, huge numbers, times at the ends of the calendar, huge bodies. Never a 500, never a lie.

The names of fields are read from the views themselves, so a new field is covered as soon as it is there.
"""

import re
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import Cast, sign_in
from tests.rules.routes import Door, doors, rows_of

WEB = Path(__file__).parents[2] / "app" / "web"
READ = re.compile(r"\.(?:get|getlist)\(\s*\"(\w+)\"|^    (\w+) = \w+Field\(", re.M)
NONSENSE = {
    "nul": "a\x00b",
    "a number": "9" * 30,
    "a long number": "9" * 5000,
    "below zero": "-" + "9" * 20,
    "the last day": "9999-12-31",
    "the last minute": "9999-12-31T23:59",
    "the first minute": "0001-01-01T00:00",
    "a moment far off": "0001-01-01T00:00:00+14:00_00000000-0000-0000-0000-000000000000",
    "wildcards": "%_\\%",
    "half a letter": "\udcff",
    "bad UTF-8": b"\xff\xfe\xed\xa0\x80",
    "a list of ids": "nonsense,,00000000-0000-0000-0000-000000000000,\x00",
    "brackets": "http://[::1/%00{{7*7}}",
}


def fields() -> list[str]:
    found = {name for path in WEB.glob("*.py") for pair in READ.findall(path.read_text()) for name in pair}
    return sorted(found - {""})


def ask(client: FlaskClient, door: Door, address: str, value: object) -> str:
    """What is wrong with the answer, '' when nothing is."""
    named = dict.fromkeys(fields(), value)
    # Some paths are only taken with a sensible choice beside the nonsense.
    named |= {"mode": "text", "action": "delete", "deed": "snooze", "until": "custom", "state": "opted_out"}
    asked, typed = (named, None) if door.method == "GET" else (None, named)
    headers = {"HX-Request": "true"}
    try:
        answer = client.open(address, method=door.method, headers=headers, query_string=asked, data=typed)
    except Exception as error:
        return f"{door}: {type(error).__name__}: {str(error)[:160]}"
    # 503: the rows of these tests have no credentials that could be opened.
    fine = answer.status_code < 500 or (door.is_webhook and answer.status_code == 503)
    return "" if fine else f"{door}: {answer.status_code}"


@pytest.mark.parametrize("kind", NONSENSE)
def test_nonsense_in_every_field_is_answered(app: Flask, client: FlaskClient, cast: Cast, kind: str) -> None:
    sign_in(client, cast.ana)
    values = rows_of(cast, cast.account, cast.ben)
    wrong = []
    for door in doors(app):
        if door.is_webhook or door.rule.endpoint == "auth.sign_out":
            continue
        value = NONSENSE[kind]
        if isinstance(value, str):
            value = value.encode("utf-8", "surrogateescape")
        if problem := ask(client, door, door.address(app, values), value):
            wrong.append(problem)
    assert not wrong, "\n".join(wrong)


def test_nonsense_at_the_doors_that_are_open_to_everybody(
    app: Flask, client: FlaskClient, cast: Cast
) -> None:
    values = rows_of(cast, cast.account, cast.ben)
    wrong = []
    for door in doors(app):
        for value in NONSENSE.values():
            raw = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
            if problem := ask(client, door, door.address(app, values), raw):
                wrong.append(problem)
    assert not wrong, "\n".join(wrong)


def test_nonsense_in_addresses(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.ana)
    for path in (
        "/a/%00/inbox",
        "/a/%ff/inbox",
        "/reset/%00",
        "/invitation/%00",
        "/media/%00",
        "/%00",
        "/palette?account=%00",
    ):
        assert client.get(path).status_code in (200, 400, 404, 410, 422), path
