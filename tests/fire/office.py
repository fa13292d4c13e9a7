"""A post office between the provider and the website: it takes every webhook at once and brings each of them ten times,
shuffled, by eight carriers at the same time. What the website cannot take (it is dead, or Postgres is away) is brought
again, as a provider would that repeats for long."""

import random
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import urllib3

COPIES, CARRIERS = 10, 8
CARRIED = ("Content-Type", "X-Twilio-Signature", "I-Twilio-Idempotency-Token")
AGAIN_AFTER = 0.3


class PostOffice:
    """`with PostOffice() as office: office.url`; carries to `office.website` once that is set."""

    def __init__(self, dice: random.Random) -> None:
        self.website = ""
        self.dice = dice
        self.taken = 0
        self.answers: Counter[int] = Counter()
        self._sack: list[tuple[float, str, bytes, dict[str, str]]] = []
        self._out = 0
        self._lock = threading.Lock()
        self._closing = False
        self._http = urllib3.PoolManager(maxsize=CARRIERS)
        self._server = _Server(("127.0.0.1", 0), _Counter)
        self._server.office = self
        self._threads = [threading.Thread(target=self._server.serve_forever, daemon=True)]
        self._threads += [threading.Thread(target=self._carry, daemon=True) for _ in range(CARRIERS)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "PostOffice":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._server.shutdown()
        self._server.server_close()
        for thread in self._threads:
            thread.join(timeout=10)
        self._http.clear()

    @property
    def is_idle(self) -> bool:
        with self._lock:
            return not self._sack and not self._out

    def take(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        with self._lock:
            self.taken += 1
            self._sack += [(0.0, path, body, headers)] * COPIES

    def _carry(self) -> None:
        while not self._closing:
            letter = self._draw()
            if letter is None:
                time.sleep(0.01)
                continue
            answer = self._bring(*letter[1:])
            with self._lock:
                self._out -= 1
                self.answers[answer] += 1
                if answer == 0 or answer >= 500:
                    self._sack.append((time.monotonic() + AGAIN_AFTER, *letter[1:]))

    def _draw(self) -> tuple[float, str, bytes, dict[str, str]] | None:
        """Any letter of the sack, so that repeats are far apart and reports overtake each other."""
        with self._lock:
            if not self._sack:
                return None
            place = self.dice.randrange(len(self._sack))
            if self._sack[place][0] > time.monotonic():
                return None
            self._sack[place], self._sack[-1] = self._sack[-1], self._sack[place]
            self._out += 1
            return self._sack.pop()

    def _bring(self, path: str, body: bytes, headers: dict[str, str]) -> int:
        """The answer's code; 0 when there was none."""
        try:
            return self._http.request(
                "POST", self.website + path, body=body, headers=headers, timeout=10, retries=False
            ).status
        except urllib3.exceptions.HTTPError:
            return 0


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    office: PostOffice


class _Counter(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: self.headers[name] for name in CARRIED if name in self.headers}
        self.server.office.take(self.path, body, headers)
        self.send_response(204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return
