"""Payloads in the shape of Twilio's documentation, read."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from app.integrations.twilio import errors
from app.integrations.twilio.inbound import parse_inbound, parse_report

FOLDER = Path(__file__).parent / "fixtures"
OURS = uuid.UUID("0199c0de-0000-7000-8000-000000000001")


def load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


@pytest.mark.parametrize(
    ("name", "body", "pictures", "opt_out"),
    [
        ("inbound_sms", "Is Tuesday at 3 free?", 0, ""),
        ("inbound_mms", "", 2, ""),
        ("inbound_stop", "Stop", 0, "STOP"),
    ],
)
def test_texts(name: str, body: str, pictures: int, opt_out: str):
    found = parse_inbound(load(name))
    assert (found.body, len(found.media), found.opt_out) == (body, pictures, opt_out)
    assert (found.sender, found.to) == ("+13035550111", "+14155550100")


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("status_delivered", "delivered", ""),
        ("status_undelivered", "undelivered", "30003"),
        ("status_through_service", "sent", ""),
    ],
)
def test_reports(name: str, status: str, code: str):
    found = parse_report(load(name))
    assert (found.status, found.code, found.message_id) == (status, code, OURS)


@pytest.mark.parametrize("code", ["20003", "20429", "21610"])
def test_refusals_are_known(code: str):
    assert str(load(f"refusal_{code}")["code"]) in errors.TABLE
