"""An account at Twilio while it is set up: app.domain.connecting.TextAccount.

https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource and
https://www.twilio.com/docs/messaging/api/service-resource. A number's own StatusCallback is about calls, so it is not ours
to set; reports about texts go to the address that each text carries.
"""

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from app.core.errors import NeedsReconnect, Permanent
from app.domain.connecting import AccountFacts, NumberFacts, Points
from app.integrations.twilio import addresses
from app.integrations.twilio.client import make_client

PAGE = 200
# What Twilio itself writes into a new number.
PLACEHOLDER = "https://demo.twilio.com/"
# Somebody chose it on purpose, and Twilio's description of the API knows no value that takes it off again.
APPLICATION = (
    "A TwiML application is set for texts to this number and goes before our address. Take it off at Twilio."
)


class TwilioAccount:
    def __init__(
        self,
        connection_id: uuid.UUID,
        credentials: Mapping[str, str],
        hosts: Mapping[str, str],
        public_url: str,
    ) -> None:
        self._connection_id = connection_id
        self._credentials = credentials
        self._hosts = hosts
        self._public_url = public_url
        self._inbound = addresses.inbound_url(public_url, connection_id)
        self._status = addresses.status_url(public_url, connection_id)
        self._client = make_client(credentials, hosts)

    def check(self) -> AccountFacts:
        """The auth token is tried by reading the account, the API key, if there is one, by reading a number."""
        sid = self._credentials["account_sid"]
        owner = make_client(self._credentials, self._hosts, with_token=True)
        found = owner.api.accounts(sid).fetch()
        if self._credentials.get("api_key_sid"):
            try:
                self._client.incoming_phone_numbers.page(page_size=1)
            except NeedsReconnect as error:
                raise NeedsReconnect(f"The API key was refused. {error.sentence}", error.code) from error
        trial = "It is a trial account: it only texts numbers that were verified at Twilio."
        return AccountFacts(
            ref=sid,
            name=str(found.friendly_name or sid),
            status=str(found.status or "active"),
            note=trial if found.type == "Trial" else "",
        )

    def cannot_call_us(self) -> str:
        if addresses.can_call(self._hosts["TWILIO_API_BASE_URL"], self._public_url):
            return ""
        host = urlsplit(self._public_url).hostname
        return f"Twilio cannot call {host}: set PUBLIC_URL to an https address that the internet can reach."

    def numbers(self, service_ref: str | None) -> list[NumberFacts]:
        in_service = self._service_numbers(service_ref) if service_ref else frozenset[str]()
        service_points = self._service_points(service_ref) if service_ref else "nowhere"
        return [
            NumberFacts(
                ref=str(number.sid),
                address=str(number.phone_number),
                name=str(number.friendly_name or number.phone_number),
                capabilities=_capabilities(number.capabilities),
                points=service_points
                if number.phone_number in in_service
                else self._read(number.sms_url, number.sms_method),
                service_ref=service_ref if number.phone_number in in_service else None,
                hint=APPLICATION
                if number.sms_application_sid and number.phone_number not in in_service
                else "",
            )
            for number in self._client.incoming_phone_numbers.stream(page_size=PAGE)
        ]

    def _read(self, url: str | None, method: str | None) -> Points:
        if not url or url.startswith(PLACEHOLDER):
            return "nowhere"
        if url == self._inbound:
            return "here" if (method or "POST") == "POST" else "away"
        return "sibling" if addresses.belongs_here(url, self._public_url) else "away"

    def _service(self, service_ref: str) -> Any:
        return self._client.messaging.v1.services(service_ref)

    def _service_numbers(self, service_ref: str) -> frozenset[str]:
        members = self._service(service_ref).phone_numbers
        try:
            return frozenset(str(each.phone_number) for each in members.stream(page_size=PAGE))
        except Permanent as error:
            if error.code != "20404":
                raise
            raise Permanent(
                f"There is no messaging service {service_ref} in this account.", error.code
            ) from error

    def _service_points(self, service_ref: str) -> Points:
        service = self._service(service_ref).fetch()
        if service.use_inbound_webhook_on_number:
            return "away"
        points = self._read(service.inbound_request_url, service.inbound_method)
        return points if points != "here" or service.status_callback == self._status else "away"

    def point_here(self, number: NumberFacts) -> None:
        if number.service_ref:
            self._service(number.service_ref).update(
                inbound_request_url=self._inbound,
                inbound_method="POST",
                status_callback=self._status,
                use_inbound_webhook_on_number=False,
            )
            return
        self._client.incoming_phone_numbers(number.ref).update(sms_url=self._inbound, sms_method="POST")

    def point_away(self, number: NumberFacts) -> None:
        if number.service_ref:
            self._service(number.service_ref).update(inbound_request_url="", status_callback="")
            return
        self._client.incoming_phone_numbers(number.ref).update(sms_url="")


def _capabilities(given: Any) -> dict[str, bool]:
    """Twilio writes these keys in small letters at owned numbers and in capitals at numbers for sale."""
    found = {str(name).lower(): bool(can) for name, can in dict(given or {}).items()}
    return {name: found.get(name, False) for name in ("sms", "mms", "voice")}
