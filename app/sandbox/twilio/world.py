"""The played Twilio's memory: rows by sid with the few indexes the API needs, bounded, safe from any thread.

Any account is welcome: an account sid and token seen for the first time are remembered and given a number, so that a
visitor can connect made-up credentials. An account registered through the control API keeps its own token.
"""

import base64
import itertools
import secrets
import threading
from collections import defaultdict, deque
from dataclasses import asdict
from typing import Any

from app.sandbox.twilio.errors import Refused
from app.sandbox.twilio.records import Account, Handset, Media, Message, Number, Service, new_sid, stamp

KEEP_MESSAGES = 200_000
KEEP_MEDIA_BYTES = 200 * 1024 * 1024
SAVE_MESSAGES = 3_000
SAVE_MEDIA_BYTES = 16 * 1024 * 1024


class TwilioWorld:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._sequence = itertools.count(1)
        self._last_sequence = 0
        self._forget_accounts()
        self._forget_traffic()

    def _forget_accounts(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.numbers: dict[str, Number] = {}
        self.services: dict[str, Service] = {}
        self.handsets: dict[str, Handset] = {}
        self._by_phone: dict[str, Number] = {}

    def _forget_traffic(self) -> None:
        # Tells an open page that what it shows is gone.
        self.epoch = secrets.token_hex(6)
        self.media: dict[str, Media] = {}
        self.messages: dict[str, Message] = {}
        # (number or service sid, customer's number)
        self.opt_outs: set[tuple[str, str]] = set()
        self._media_bytes = 0
        self._by_account: dict[str, deque[Message]] = defaultdict(deque)
        self._by_recipient: dict[tuple[str, str], list[Message]] = defaultdict(list)
        self._changed: deque[Message] = deque(maxlen=SAVE_MESSAGES)

    # Accounts

    def authenticate(self, account_sid: str | None, user: str, password: str) -> Account:
        """The account a call may act for. `account_sid` is the one named in the path, if the path names one."""
        if not password or user[:2] not in ("AC", "SK"):
            raise Refused(20003)
        with self.lock:
            if user.startswith("AC"):
                if account_sid not in (None, user):
                    raise Refused(20003)
                account = self.accounts.get(user) or self._welcome(user, password)
                allowed = account.auth_token == password
            else:
                account = self._owner_of_key(account_sid, user, password)
                allowed = account.api_keys.get(user) == password
            if not allowed or account.status != "active":
                raise Refused(20003)
            return account

    def _owner_of_key(self, account_sid: str | None, key: str, secret: str) -> Account:
        if account_sid is None:
            owners = [a for a in self.accounts.values() if key in a.api_keys]
            if not owners:
                raise Refused(20003)
            return owners[0]
        # A key may be the first thing seen of an account; then its secret is the only one to sign with.
        account = self.accounts.get(account_sid) or self._welcome(account_sid, secret)
        if not (account.registered and account.api_keys):
            account.api_keys.setdefault(key, secret)
        return account

    def _welcome(self, sid: str, token: str) -> Account:
        account = self.accounts[sid] = Account(sid, token, f"Account …{sid[-4:]}")
        digits = f"{int(sid[2:] or '0', 16) % 7_999_999 + 2_000_000:07d}" if _is_hex(sid[2:]) else "5550100"
        self.add_number(Number(new_sid("PN"), sid, f"+1415{digits}", "Your first number"))
        return account

    def register(self, order: dict[str, Any]) -> Account:
        """Put an account with its numbers and services in place; again with the same sids changes nothing else."""
        sid = str(order["sid"])
        with self.lock:
            account = self.accounts.get(sid) or Account(sid, "", "")
            account.auth_token = str(order["auth_token"])
            account.name = str(order.get("name") or account.name or sid)
            account.registered = True
            account.api_keys = {str(k): str(v) for k, v in (order.get("api_keys") or {}).items()}
            self.accounts[sid] = account
            for wanted in order.get("services") or ():
                self._register_service(account, wanted)
            for wanted in order.get("numbers") or ():
                self._register_number(account, wanted)
            self.touch()
            return account

    def _register_service(self, account: Account, wanted: dict[str, Any]) -> None:
        sid = str(wanted.get("sid") or new_sid("MG"))
        if sid not in self.services:
            self.services[sid] = Service(
                sid, account.sid, str(wanted.get("friendly_name") or "Messaging service")
            )
        for name in (
            "inbound_request_url",
            "status_callback",
            "advanced_opt_out",
            "use_inbound_webhook_on_number",
        ):
            if name in wanted:
                setattr(self.services[sid], name, wanted[name])

    def _register_number(self, account: Account, wanted: dict[str, Any]) -> None:
        phone = str(wanted["phone_number"])
        number = self._by_phone.get(phone)
        if number is None or number.account_sid != account.sid:
            number = Number(str(wanted.get("sid") or new_sid("PN")), account.sid, phone, phone)
            self.add_number(number)
        number.friendly_name = str(wanted.get("friendly_name") or number.friendly_name)
        number.country = str(wanted.get("country") or number.country)
        number.sms_url = str(wanted.get("sms_url") or number.sms_url)
        number.service_sid = str(wanted.get("service_sid") or number.service_sid)

    # Numbers

    def add_number(self, number: Number) -> None:
        with self.lock:
            before = self._by_phone.get(number.phone_number)
            if before:
                self.numbers.pop(before.sid, None)
            self.numbers[number.sid] = number
            self._by_phone[number.phone_number] = number
            self.touch()

    def drop_number(self, number: Number) -> None:
        with self.lock:
            self.numbers.pop(number.sid, None)
            self._by_phone.pop(number.phone_number, None)
            self.touch()

    def number_at(self, phone: str) -> Number | None:
        return self._by_phone.get(phone)

    def numbers_of(self, account_sid: str) -> list[Number]:
        with self.lock:
            return [n for n in self.numbers.values() if n.account_sid == account_sid]

    def numbers_in(self, service_sid: str) -> list[Number]:
        with self.lock:
            return [n for n in self.numbers.values() if n.service_sid == service_sid]

    # Opting out

    @staticmethod
    def scopes(number: Number | None, service_sid: str) -> list[str]:
        """Whose list a customer is on: the service's when there is one, else the number's."""
        service = service_sid or (number.service_sid if number else "")
        return [service] if service else [number.phone_number if number else ""]

    def is_opted_out(self, number: Number | None, service_sid: str, phone: str) -> bool:
        return any((scope, phone) in self.opt_outs for scope in self.scopes(number, service_sid))

    # Messages

    def add_message(self, message: Message) -> None:
        with self.lock:
            self.messages[message.sid] = message
            self._by_account[message.account_sid].append(message)
            self._by_recipient[(message.account_sid, message.to)].append(message)
            message.history.append([message.status, message.created_at])
            self.mark(message)
            if len(self.messages) > KEEP_MESSAGES:
                self.drop_message(next(iter(self.messages.values())))

    def drop_message(self, message: Message) -> None:
        with self.lock:
            if self.messages.pop(message.sid, None) is None:
                return
            mine = self._by_account[message.account_sid]
            if mine and mine[0] is message:
                mine.popleft()
            else:
                mine.remove(message)
            self._by_recipient[(message.account_sid, message.to)].remove(message)
            self.touch()

    def move(self, message: Message, status: str) -> None:
        """Put the message into a state and note when."""
        with self.lock:
            message.status = status
            message.updated_at = stamp()
            message.history.append([status, message.updated_at])
            self.mark(message)

    def mark(self, message: Message) -> None:
        """Note that the message changed, for pages that ask what is new."""
        with self.lock:
            self.touch()
            message.seq = self._last_sequence
            self._changed.append(message)

    def touch(self) -> None:
        self._last_sequence = next(self._sequence)

    def messages_of(self, account_sid: str, to: str = "") -> list[Message]:
        """Newest first."""
        with self.lock:
            rows = (
                self._by_recipient.get((account_sid, to), []) if to else self._by_account.get(account_sid, ())
            )
            return list(reversed(rows))

    def changed_since(self, sequence: int) -> list[Message]:
        """Each changed message once, oldest change first."""
        with self.lock:
            found: dict[str, Message] = {}
            for message in reversed(self._changed):
                if message.seq <= sequence:
                    break
                if message.sid in self.messages:
                    found.setdefault(message.sid, message)
            return list(reversed(found.values()))

    def add_media(self, media: Media) -> None:
        with self.lock:
            self.media[media.sid] = media
            self._media_bytes += len(media.content)
            while self._media_bytes > KEEP_MEDIA_BYTES and len(self.media) > 1:
                self.drop_media(next(iter(self.media.values())))

    def drop_media(self, media: Media) -> None:
        with self.lock:
            if self.media.pop(media.sid, None):
                self._media_bytes -= len(media.content)

    def _recent_media(self) -> list[Media]:
        kept: list[Media] = []
        size = 0
        for media in reversed(self.media.values()):
            size += len(media.content)
            if size > SAVE_MEDIA_BYTES:
                break
            kept.append(media)
        return kept[::-1]

    # Memory on disk

    def version(self) -> int:
        return self._last_sequence

    def clear(self, keep_accounts: bool = False) -> None:
        with self.lock:
            if not keep_accounts:
                self._forget_accounts()
            self._forget_traffic()
            self.touch()

    def dump(self) -> dict[str, Any]:
        with self.lock:
            recent = list(itertools.islice(reversed(self.messages.values()), SAVE_MESSAGES))[::-1]
            return {
                "accounts": [asdict(row) for row in self.accounts.values()],
                "numbers": [asdict(row) for row in self.numbers.values()],
                "services": [asdict(row) for row in self.services.values()],
                "handsets": [asdict(row) for row in self.handsets.values()],
                "opt_outs": sorted(self.opt_outs),
                "messages": [vars(row) | {"history": list(row.history)} for row in recent],
                "media": [
                    vars(row) | {"content": base64.b64encode(row.content).decode()}
                    for row in self._recent_media()
                ],
            }

    def load(self, saved: dict[str, Any]) -> None:
        with self.lock:
            self.accounts = {row["sid"]: Account(**row) for row in saved["accounts"]}
            self.services = {row["sid"]: Service(**row) for row in saved["services"]}
            self.handsets = {row["number"]: Handset(**row) for row in saved["handsets"]}
            self.opt_outs = {(scope, phone) for scope, phone in saved["opt_outs"]}
            for row in saved["numbers"]:
                self.add_number(Number(**row))
            for row in saved["media"]:
                self.add_media(Media(**row | {"content": base64.b64decode(row["content"])}))
            for row in saved["messages"]:
                message = Message(**row)
                history = list(message.history)
                self.add_message(message)
                message.history = history


def _is_hex(text: str) -> bool:
    return bool(text) and all(c in "0123456789abcdefABCDEF" for c in text)
