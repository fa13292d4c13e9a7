"""The provider simulator as the tests use it, and webhooks as Twilio would send them."""

import secrets
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import requests
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.core import runtime, tenancy
from app.core.actor import Actor
from app.integrations import connect
from app.integrations.twilio import signature
from app.models.account import Account
from app.models.connection import Connection

SID = "AC" + "1" * 32
TOKEN = "test-auth-token"
BUSINESS = "+14155550100"


@dataclass
class Provider:
    """The played Twilio; `register` puts an account with numbers in place, `fault` orders trouble."""

    url: str
    http: requests.Session = field(default_factory=requests.Session)

    def control(self, path: str, /, **order: Any) -> dict[str, Any]:
        answer = self.http.post(f"{self.url}/_sim{path}", json=order, timeout=10)
        assert answer.ok, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def register(self, sid: str = SID, token: str = TOKEN, *numbers: str, **more: Any) -> None:
        rows = [{"phone_number": number, "friendly_name": number} for number in numbers or (BUSINESS,)]
        self.control("/twilio/accounts", sid=sid, auth_token=token, name="Bright Smile", numbers=rows, **more)

    def fault(self, kind: str, **settings: Any) -> None:
        self.control("/faults", kind=kind, provider="twilio", **settings)

    def sent(self, **query: Any) -> list[dict[str, Any]]:
        """Texts that the API accepted, oldest first."""
        found: list[dict[str, Any]] = self.http.get(
            f"{self.url}/_sim/twilio/messages", params=query, timeout=10
        ).json()["messages"]
        return found

    def requests(self, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get(
            f"{self.url}/_sim/requests", params=query, timeout=10
        ).json()["requests"]
        return found

    def numbers(self, sid: str = SID, token: str = TOKEN) -> list[dict[str, Any]]:
        url = f"{self.url}/twilio/api/2010-04-01/Accounts/{sid}/IncomingPhoneNumbers.json"
        found: list[dict[str, Any]] = self.http.get(url, auth=(sid, token), timeout=10).json()[
            "incoming_phone_numbers"
        ]
        return found

    def connect(
        self, account: Account, actor: Actor, sid: str = SID, token: str = TOKEN, *numbers: str
    ) -> Connection:
        """The account, registered and connected with all steps done."""
        self.register(sid, token, *numbers)
        with tenancy.session_for() as session:
            return connect.connect(
                session, actor, account, "twilio", {"account_sid": sid, "auth_token": token}
            )


def hosts(url: str) -> dict[str, str]:
    """Host settings that lead to the simulator at this address."""
    return {
        "TWILIO_API_BASE_URL": f"{url}/twilio/api",
        "TWILIO_MESSAGING_BASE_URL": f"{url}/twilio/messaging",
        "TWILIO_LOOKUPS_BASE_URL": f"{url}/twilio/lookups",
        "TWILIO_PRICING_BASE_URL": f"{url}/twilio/pricing",
        "GOOGLE_ACCOUNTS_BASE_URL": f"{url}/google/accounts",
        "GOOGLE_OAUTH_BASE_URL": f"{url}/google/oauth",
        "GOOGLE_OIDC_BASE_URL": f"{url}/google/oidc",
        "GOOGLE_WWW_BASE_URL": f"{url}/google/calendar",
        "GOOGLE_GMAIL_BASE_URL": f"{url}/google/gmail",
        "GOOGLE_PEOPLE_BASE_URL": f"{url}/google/people",
        "GOOGLE_CLIENT_ID": "test-levelhead.apps.googleusercontent.com",
        "GOOGLE_CLIENT_SECRET": "test-google-secret",
    }


def new_ref(prefix: str = "SM") -> str:
    return prefix + secrets.token_hex(16)


def inbound_form(ref: str = "", **values: str) -> dict[str, str]:
    ref = ref or new_ref()
    return {
        "MessageSid": ref,
        "SmsSid": ref,
        "SmsMessageSid": ref,
        "AccountSid": SID,
        "From": "+13035550111",
        "To": BUSINESS,
        "Body": "Hello",
        "NumMedia": "0",
        "NumSegments": "1",
        "SmsStatus": "received",
        "ApiVersion": "2010-04-01",
    } | values


def status_form(ref: str, status: str, **values: str) -> dict[str, str]:
    return {
        "MessageSid": ref,
        "SmsSid": ref,
        "MessageStatus": status,
        "SmsStatus": status,
        "AccountSid": SID,
        "From": BUSINESS,
        "To": "+13035550111",
        "ApiVersion": "2010-04-01",
    } | values


def post_webhook(
    client: FlaskClient,
    connection_id: uuid.UUID,
    kind: str,
    form: dict[str, str],
    *,
    token: str = TOKEN,
    message_id: uuid.UUID | None = None,
    headers: dict[str, str] | None = None,
) -> TestResponse:
    """A webhook signed with `token`, through the front door."""
    path = f"/webhooks/twilio/{connection_id}/{kind}"
    query = f"message={message_id}" if message_id else ""
    url = signature.called_url(runtime.current().settings.public_url, path, query)
    signed = signature.compute(url, {name: [value] for name, value in form.items()}, token)
    return client.post(
        f"{path}?{query}" if query else path,
        data=urlencode(form),
        content_type="application/x-www-form-urlencoded",
        headers={signature.HEADER: signed} | (headers or {}),
    )
