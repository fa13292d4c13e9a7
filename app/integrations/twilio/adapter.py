"""Texts over Twilio: app.domain.channels.TextChannel. https://www.twilio.com/docs/messaging/api/message-resource"""

import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from app.core.errors import Ambiguous, Permanent
from app.domain.channels import Accepted, OutgoingText, SentRecord
from app.integrations.twilio import addresses, errors, media
from app.integrations.twilio.client import make_client

PAGE = 200
MOST_PAGES = 10
TRIAL_MARK = "Sent from your Twilio trial account - "
# What Twilio's "smart encoding" of a messaging service writes instead: twilio.com/docs/messaging/services#smart-encoding
SMART = str.maketrans(
    {
        "‘": "'", "’": "'", "‚": "'", "‛": "'", "′": "'", "“": '"', "”": '"', "„": '"', "‟": '"', "″": '"', "«": '"', "»": '"',
        "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-", "…": "...", "•": "*", "·": ".",
        "\u00a0": " ", "\u2009": " ", "\u200a": " ", "\u202f": " ", "\u200b": "", "\u2060": "", "\ufeff": "",
    }
)  # fmt: skip


class TwilioChannel:
    def __init__(
        self,
        connection_id: uuid.UUID,
        credentials: Mapping[str, str],
        hosts: Mapping[str, str],
        public_url: str,
    ) -> None:
        self._connection_id = connection_id
        self._credentials = credentials
        self._api_base = hosts["TWILIO_API_BASE_URL"]
        self._public_url = public_url
        self._client = make_client(credentials, hosts)

    def send(self, text: OutgoingText) -> Accepted:
        origin: dict[str, Any] = (
            {"messaging_service_sid": text.service_ref}
            if text.service_ref
            else {"from_": text.sender_address}
        )
        if text.body or not text.media_urls:
            origin["body"] = text.body
        if text.media_urls:
            origin["media_url"] = list(text.media_urls)
        # Twilio refuses a whole text over a report address that it can never call (21609).
        if addresses.can_call(self._api_base, self._public_url):
            origin["status_callback"] = addresses.status_url(
                self._public_url, self._connection_id, text.message_id
            )
        message = self._client.messages.create(to=text.to, **origin)
        if not message.sid:
            raise Ambiguous("Twilio took the text but did not name it.", "unreadable", settled=True)
        return Accepted(message.sid, str(message.status or "queued"), _segments(message))

    def find_sent(self, text: OutgoingText, since: datetime) -> list[SentRecord]:
        """The list is filtered by receiver only: its date filter knows days, and leaves out what has no date_sent yet."""
        # Twilio's times have no fractions of a second.
        since = since.replace(microsecond=0)
        found = [
            record
            for record, message in self._sent_to(text.to, since)
            if record.created_at >= since
            and _same_origin(text, message)
            and same_words(text.body, record.body)
        ]
        # The list is newest first; among those of one second its order says which was earlier.
        return sorted(reversed(found), key=lambda record: record.created_at)

    def _sent_to(self, to: str, since: datetime) -> Iterator[tuple[SentRecord, Any]]:
        page = self._client.messages.page(to=to, page_size=PAGE)
        for _ in range(MOST_PAGES):
            rows = [(_record(message), message) for message in page]
            yield from rows
            # Newest first: a page of nothing but older ones is the end of what is asked for.
            if not any(record.created_at >= since for record, _ in rows):
                return
            page = page.next_page()
            if page is None:
                return

    def fetch(self, ref: str) -> SentRecord:
        return _record(self._client.messages(ref).fetch())

    def fetch_media(self, url: str, limit_bytes: int) -> tuple[bytes, str]:
        return media.fetch(url, limit_bytes, self._credentials, self._api_base)

    def explain(self, code: str) -> str:
        return errors.explain(code)


def _same_origin(text: OutgoingText, message: Any) -> bool:
    if message.direction != "outbound-api":
        return False
    if text.service_ref:
        return bool(message.messaging_service_sid == text.service_ref)
    return bool(message.from_ == text.sender_address)


def _fold(text: str) -> str:
    return " ".join(text.translate(SMART).split())


def same_words(ours: str, theirs: str) -> bool:
    """Twilio trims, replaces typographic characters, marks a trial account's texts, and may have been told to redact:
    a text without words cannot be told from ours, and is taken for it rather than sent a second time."""
    wanted, listed = _fold(ours), _fold(theirs)
    return listed in ("", wanted) or listed == _fold(TRIAL_MARK + ours)


def _segments(message: Any) -> int | None:
    # "0" as long as a messaging service has not chosen the number.
    count = str(message.num_segments or "")
    return int(count) if count.isdigit() and int(count) > 0 else None


def _record(message: Any) -> SentRecord:
    created = message.date_created
    if not isinstance(created, datetime):
        raise Permanent("Twilio's answer has no date.", "unreadable")
    return SentRecord(
        ref=str(message.sid),
        status=str(message.status or ""),
        to=str(message.to or ""),
        body=str(message.body or ""),
        created_at=created if created.tzinfo else created.replace(tzinfo=UTC),
        error_code=str(message.error_code or ""),
        segments=_segments(message),
    )
