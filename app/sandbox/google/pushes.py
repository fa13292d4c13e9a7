"""Push channels: opened by an app, told "look again" at every change, stopped or run out.

A push has no body; everything stands in X-Goog-… headers (developers.google.com/workspace/calendar/api/guides/push). The
first one says `sync`. 500, 502, 503 and 504 are sent again with growing waits. Only this computer is ever called.
"""

import hashlib
import re
import time
from email.utils import formatdate
from typing import Any

from app.sandbox.google.errors import Refused, invalid
from app.sandbox.google.records import Calendar, Channel
from app.sandbox.google.world import GoogleWorld
from app.sandbox.outbound import Outcome, Webhook, is_local
from app.sandbox.state import Simulator

WEEK_S, MONTH_S = 7 * 86_400, 30 * 86_400
AGAIN = (500, 502, 503, 504)
WAITS_S = (1.0, 4.0, 16.0)


class Pushes:
    def __init__(self, sim: Simulator, world: GoogleWorld) -> None:
        self._sim = sim
        self._world = world
        world.on_change = self.tell

    def open(
        self, body: dict[str, Any], email: str, client_id: str, calendar_id: str, resource_uri: str
    ) -> dict[str, Any]:
        """Open the channel that `body` asks for. Raises Refused."""
        ident, address = str(body.get("id") or ""), str(body.get("address") or "")
        if not re.fullmatch(r"[A-Za-z0-9\-_+/=]{1,64}", ident):
            raise invalid("Invalid channel id.", "id")
        if body.get("type") not in ("web_hook", "webhook"):
            raise invalid("Unknown channel type.", "type")
        if not address.startswith("https://") and not is_local(address):
            raise Refused(400, "push.webhookUrlNotHttps", f"WebHook callback must be HTTPS: {address}")
        if len(str(body.get("token") or "")) > 256:
            raise invalid("Channel token is too long.", "token")
        with self._world.lock:
            if ident in self._world.channels:
                raise Refused(400, "channelIdNotUnique", f"Channel id {ident} not unique")
            channel = Channel(
                id=ident,
                resource_id=hashlib.sha256(f"{email} {calendar_id}".encode()).hexdigest()[:27],
                resource_uri=resource_uri,
                email=email,
                client_id=client_id,
                calendar_id=calendar_id,
                address=address,
                token=str(body.get("token") or ""),
                expires_ms=_ends(body),
            )
            self._world.channels[ident] = channel
            self._world.touch()
            self._send(channel, "sync")
        told = {"kind": "api#channel", "id": ident, "resourceId": channel.resource_id}
        told |= {"resourceUri": resource_uri, "expiration": str(channel.expires_ms)}
        return told | ({"token": channel.token} if channel.token else {})

    def stop(self, body: dict[str, Any], client_id: str) -> None:
        """Raises Refused for a channel that is not there."""
        with self._world.lock:
            channel = self._world.channels.get(str(body.get("id")))
            wrong = channel is None or channel.resource_id != body.get("resourceId")
            if channel is None or wrong or channel.client_id != client_id:
                raise Refused(404, "channelNotFound", f"Channel '{body.get('id')}' not found for project")
            del self._world.channels[channel.id]
            self._world.touch()

    def tell(self, calendar: Calendar) -> None:
        """Something in this calendar changed."""
        with self._world.lock:
            for channel in list(self._world.channels.values()):
                if channel.expires_ms <= time.time() * 1000:
                    del self._world.channels[channel.id]
                elif channel.calendar_id == calendar.id:
                    self._send(channel, "exists")

    def _send(self, channel: Channel, state: str, tries: int = 0) -> None:
        if tries == 0:
            channel.sent += 1
        headers = {
            "X-Goog-Channel-ID": channel.id,
            "X-Goog-Channel-Expiration": formatdate(channel.expires_ms / 1000, usegmt=True),
            "X-Goog-Resource-ID": channel.resource_id,
            "X-Goog-Resource-URI": channel.resource_uri,
            "X-Goog-Resource-State": state,
            "X-Goog-Message-Number": str(channel.sent),
            "User-Agent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
        }
        if channel.token:
            headers["X-Goog-Channel-Token"] = channel.token

        def done(outcome: Outcome) -> None:
            if outcome.status in AGAIN and tries < len(WAITS_S) and channel.id in self._world.channels:
                self._sim.outbound.schedule(WAITS_S[tries], lambda: self._send(channel, state, tries + 1))

        self._sim.outbound.post(
            Webhook(
                provider="google",
                event="channel" if state == "sync" else "push",
                url=channel.address,
                params={},
                sign=lambda url, form: {},
                key=f"google {channel.id}",
                to=channel.email,
                headers=headers,
                on_done=done,
            )
        )


def _ends(body: dict[str, Any]) -> int:
    """Milliseconds since 1970; a week from now if nobody asks, never more than a month."""
    now_ms = int(time.time() * 1000)
    asked = str(body.get("expiration") or "")
    ttl = str((body.get("params") or {}).get("ttl") or "")
    if asked:
        if not asked.isdigit() or int(asked) <= now_ms:
            raise invalid("Invalid channel expiration.", "expiration")
        return min(int(asked), now_ms + MONTH_S * 1000)
    seconds = int(ttl) if ttl.isdigit() and int(ttl) else WEEK_S
    return now_ms + min(seconds, MONTH_S) * 1000
