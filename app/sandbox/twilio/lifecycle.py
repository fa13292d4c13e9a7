"""What happens to a text after Twilio accepted it: queued, sending, sent, delivered, with a signed report of each step.

No report is sent for the state a message is created in
(twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks). A message with pictures is fetched
first, which also proves that the app's public media addresses work.
"""

import base64
import hashlib
import hmac
import random
import threading
import zlib
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from app.sandbox.faults import Fault
from app.sandbox.journal import now
from app.sandbox.outbound import Webhook
from app.sandbox.state import Simulator
from app.sandbox.twilio.errors import DELIVERY
from app.sandbox.twilio.records import API_VERSION, Media, Message, count_segments, new_sid, stamp
from app.sandbox.twilio.world import TwilioWorld

MEDIA_LIMIT = 5 * 1024 * 1024
# Long enough for the API's answer to leave first when the delays are set to zero.
FIRST_STEP_S = 0.02
EARLY_WAIT_S = 5.0


def sign(auth_token: str, url: str, params: dict[str, str]) -> dict[str, str]:
    """X-Twilio-Signature: twilio.com/docs/usage/webhooks/webhooks-security."""
    text = url + "".join(name + params[name] for name in sorted(params))
    digest = hmac.new(auth_token.encode(), text.encode(), hashlib.sha1).digest()
    return {"X-Twilio-Signature": base64.b64encode(digest).decode()}


@dataclass
class _Run:
    """One message on its way: the steps to come and the trouble ordered for it."""

    message: Message
    steps: list[str]
    failure: Fault | None
    order: str = ""
    held: "list[Webhook] | None" = None


class Lifecycle:
    def __init__(self, sim: Simulator, world: TwilioWorld) -> None:
        self._sim = sim
        self._world = world

    def begin(self, message: Message) -> None:
        """Set an accepted message going; returns at once."""
        run = self._plan(message)
        if message.send_at:
            wait = (datetime.fromisoformat(message.send_at) - now()).total_seconds()
            self._sim.outbound.schedule(max(wait, 0), partial(self._start, run))
        elif message.media_urls and not message.media_sids:
            self._sim.outbound.run(message.sid, partial(self._fetch_media, run))
        else:
            self._later(run)

    def hurry(self, message: Message) -> None:
        """Bring the message to its end, reports included, before returning: for reports that overtake the answer."""
        run = self._plan(message)
        while run.steps:
            self._step(run)
        done = threading.Event()
        self._sim.outbound.run(message.sid, done.set)
        done.wait(EARLY_WAIT_S)

    def resume(self) -> None:
        """After a restart: messages that were under way go on."""
        for message in list(self._world.messages.values()):
            if message.is_outbound and message.status in (
                "queued",
                "accepted",
                "sending",
                "sent",
                "scheduled",
            ):
                self.begin(message)

    def _plan(self, message: Message) -> _Run:
        faults = self._sim.faults
        failure = faults.take(("delivery_failure",), "twilio", to=message.to)
        reorder = faults.take(("webhook_reorder",), "twilio", to=message.to)
        path = ["accepted", "queued", "sending", "sent", "delivered"]
        start = path.index(message.status) if message.status in path else 0
        run = _Run(message, path[start + 1 :], failure[0] if failure else None)
        if reorder:
            run.order, run.held = reorder[0].settings["order"], []
        return run

    def _start(self, run: _Run) -> None:
        if run.message.status == "scheduled":
            self._step(run)
            self._later(run)

    def _later(self, run: _Run) -> None:
        settings = self._sim.settings
        delay = (
            random.uniform(settings.step_delay_ms, max(settings.step_delay_ms, settings.step_delay_max_ms))
            / 1000
        )
        self._sim.outbound.schedule(max(delay, FIRST_STEP_S), partial(self._advance, run))

    def _advance(self, run: _Run) -> None:
        if run.message.sid not in self._world.messages or run.message.status == "canceled":
            return
        self._step(run)
        while run.steps and self._sim.settings.step_delay_max_ms == 0:
            self._step(run)
        if run.steps:
            self._later(run)

    def _step(self, run: _Run) -> None:
        status = run.steps.pop(0)
        message = run.message
        if run.failure and status in ("sent", "delivered"):
            code = run.failure.settings["error_code"]
            ends_in = run.failure.settings["status"] or DELIVERY.get(code, ("undelivered", ""))[0]
            # `failed` means it never left Twilio, `undelivered` that the carrier gave it back.
            if ends_in == "failed" or status == "delivered":
                self._fail(run, code, ends_in)
                return
        if status == "sent":
            message.sent_at = stamp()
            rate = 0.02 if message.num_media else 0.0083 * count_segments(message.body)
            message.price = f"-{rate:.5f}"
        if not message.sender:
            message.sender = self.pick_sender(message)
        self._world.move(message, status)
        self._report(run)

    def _fail(self, run: _Run, code: int, status: str) -> None:
        run.message.error_code = code
        run.message.error_message = DELIVERY.get(code, ("", "Unknown error"))[1]
        run.steps.clear()
        self._world.move(run.message, status)
        self._report(run)

    def pick_sender(self, message: Message) -> str:
        """The service's number for this recipient, always the same one ("sticky sender")."""
        numbers = sorted(n.phone_number for n in self._world.numbers_in(message.service_sid))
        return numbers[zlib.crc32(message.to.encode()) % len(numbers)] if numbers else ""

    def _fetch_media(self, run: _Run) -> None:
        message = run.message
        for url in message.media_urls:
            try:
                kind, content = self._sim.outbound.fetch(url, MEDIA_LIMIT)
            except OSError as error:
                self._fail(run, 11200, "failed")
                message.error_message = f"HTTP retrieval failure: {error}"
                return
            media = Media(new_sid("ME"), message.sid, message.account_sid, kind, content)
            self._world.add_media(media)
            message.media_sids.append(media.sid)
        self._later(run)

    def _report(self, run: _Run) -> None:
        message = run.message
        account = self._world.accounts.get(message.account_sid)
        if not message.status_callback or account is None:
            return
        hook = Webhook(
            provider="twilio",
            event="status",
            url=message.status_callback,
            params=report_params(message),
            sign=partial(sign, account.auth_token),
            key=message.sid,
            to=message.to,
            headers=webhook_headers(),
        )
        if run.held is None:
            self._sim.outbound.post(hook)
            return
        run.held.append(hook)
        if not run.steps:
            held = run.held[::-1] if run.order != "shuffle" else random.sample(run.held, len(run.held))
            for each in held:
                self._sim.outbound.post(each)


def webhook_headers() -> dict[str, str]:
    return {
        "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        "User-Agent": "TwilioProxy/1.1",
        "I-Twilio-Idempotency-Token": new_sid("")[:8] + "-" + new_sid("")[:24],
    }


def report_params(message: Message) -> dict[str, str]:
    """twilio.com/docs/messaging/guides/track-outbound-message-status"""
    params = {
        "MessageSid": message.sid,
        "SmsSid": message.sid,
        "MessageStatus": message.status,
        "SmsStatus": message.status,
        "To": message.to,
        "From": message.sender,
        "AccountSid": message.account_sid,
        "ApiVersion": API_VERSION,
    }
    if message.service_sid:
        params["MessagingServiceSid"] = message.service_sid
    if message.error_code:
        params["ErrorCode"] = str(message.error_code)
    return params
