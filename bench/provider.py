"""A provider that costs next to nothing: it takes texts after a set time and reports on them, signed, as Twilio does.

The simulator spends three to four milliseconds of CPU on a text, more than what is measured here, and on this machine, where the
real provider spends none. `python -m bench.provider --port N --token T`; both designs of bench/sends.py call the same one.
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import itertools
import json
import secrets
import time
from collections import deque
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

REPORTS = ("sending", "sent", "delivered")
FIRST_REPORT_S = 0.02
SENDERS = 24
Report = tuple[str, dict[str, str]]


class Provider:
    def __init__(self, token: str) -> None:
        self.token = token
        self.latency_s = 0.0
        self.open_reports = 0
        # Our message id → when the provider's yes left.
        self.accepted: dict[str, float] = {}
        self.reports: asyncio.Queue[deque[Report]] = asyncio.Queue()
        self.numbers = itertools.count(1)

    def signed(self, url: str, params: dict[str, str]) -> str:
        text = url + "".join(name + params[name] for name in sorted(params))
        digest = hmac.new(self.token.encode(), text.encode(), hashlib.sha1).digest()
        return base64.b64encode(digest).decode()

    def accept(self, path: str, form: dict[str, str]) -> bytes:
        sid = f"SM{secrets.token_hex(16)}"
        account = path.split("/Accounts/")[1].split("/")[0]
        back = form.get("StatusCallback", "")
        self.accepted[parse_qs(urlsplit(back).query).get("message", [sid])[0]] = time.time()
        if back:
            self.open_reports += len(REPORTS)
            told = {"MessageSid": sid, "SmsSid": sid, "AccountSid": account, "From": form.get("From", "")}
            told |= {"To": form["To"], "ApiVersion": "2010-04-01"}
            steps = deque((back, told | {"MessageStatus": s, "SmsStatus": s}) for s in REPORTS)
            asyncio.get_running_loop().call_later(FIRST_REPORT_S, self.reports.put_nowait, steps)
        answer = {
            "sid": sid,
            "account_sid": account,
            "status": "queued",
            "direction": "outbound-api",
            "to": form["To"],
            "from": form.get("From"),
            "body": form.get("Body", ""),
            "num_segments": "1",
            "num_media": "0",
            "date_created": "Sun, 22 Nov 2026 12:00:00 +0000",
            "date_updated": "Sun, 22 Nov 2026 12:00:00 +0000",
            "date_sent": None,
            "error_code": None,
            "error_message": None,
            "price": None,
            "price_unit": "USD",
            "messaging_service_sid": None,
            "api_version": "2010-04-01",
            "uri": f"/2010-04-01/Accounts/{account}/Messages/{sid}.json",
            "subresource_uris": {},
        }
        return json.dumps(answer).encode()

    def control(self, path: str) -> bytes:
        if path.startswith("/latency/"):
            self.latency_s = float(path.rpartition("/")[2]) / 1000
        if path == "/accepted":
            return json.dumps(self.accepted).encode()
        return json.dumps({"idle": self.open_reports == 0}).encode()


class Door(asyncio.Protocol):
    """One connection of a client: a request after the other."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, end, body = self.data.partition(b"\r\n\r\n")
        if not end:
            return
        size = 0
        for line in head.split(b"\r\n")[1:]:
            if line[:15].lower() == b"content-length:":
                size = int(line[15:])
        if len(body) < size:
            return
        self.data = body[size:]
        method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
        if method == "POST":
            form = dict(parse_qsl(body[:size].decode()))
            asyncio.get_running_loop().call_later(self.provider.latency_s, self.take, path, form)
        elif "Messages.json" in path:
            self.answer(200, json.dumps({"messages": [], "next_page_uri": None}).encode())
        else:
            self.answer(200, self.provider.control(path))

    def take(self, path: str, form: dict[str, str]) -> None:
        self.answer(201, self.provider.accept(path, form))

    def answer(self, status: int, body: bytes) -> None:
        head = (
            f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.transport.write(head.encode() + body)


async def report_forever(provider: Provider) -> None:
    """One kept-alive connection that carries reports; those of a text one after the other."""
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None
    while True:
        for url, params in await provider.reports.get():
            parts = urlsplit(url)
            if writer is None or reader is None:
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            body = urlencode(params).encode()
            lines = (
                f"POST {parts.path}?{parts.query} HTTP/1.1",
                f"Host: {parts.netloc}",
                "Content-Type: application/x-www-form-urlencoded",
                f"X-Twilio-Signature: {provider.signed(url, params)}",
                f"Content-Length: {len(body)}",
            )
            call = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
            try:
                head = await ask(reader, writer, call)
            except (asyncio.IncompleteReadError, ConnectionError):
                # A server may close a connection that was idle: once more on a new one, as any client does.
                writer.close()
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
                head = await ask(reader, writer, call)
            if not head.startswith(b"http/1.1 200"):
                raise RuntimeError(head.decode())
            provider.open_reports -= 1


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, call: bytes) -> bytes:
    """The head of the answer, in small letters."""
    writer.write(call)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
    return head


async def serve(port: int, token: str) -> None:
    provider = Provider(token)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Door(provider), "127.0.0.1", port, backlog=512)
    senders = [asyncio.create_task(report_forever(provider)) for _ in range(SENDERS)]
    async with server:
        # A report that is refused ends the process, and with it the measurement.
        await asyncio.gather(server.serve_forever(), *senders)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token", required=True)
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.token))


if __name__ == "__main__":
    main()
