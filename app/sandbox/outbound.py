"""Sends the webhooks: a pool of threads, kept-alive connections, order kept per key, trouble applied on the way.

Webhooks with one key (one message, one conversation) leave one after another; different keys never wait for each other,
unless all threads are busy. Only this computer is ever called, so that a forgotten real address receives nothing.
The `#rc=` and `#rp=` parts of an address are read as Twilio's connection overrides describe them
(twilio.com/docs/usage/webhooks/webhooks-connection-overrides); one retry on a failed connection is the default.
"""

import heapq
import ipaddress
import itertools
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import urllib3

from app.sandbox.faults import Faults
from app.sandbox.journal import Journal

THREADS = 24
WEBHOOK_FAULTS = ("webhook_delay", "webhook_repeat", "webhook_drop", "webhook_bad_signature")

# What a forged webhook has wrong: the header by which it is known.
PROOFS = ("signature", "channel-token")

Signer = Callable[[str, dict[str, str]], dict[str, str]]


@dataclass(frozen=True)
class Outcome:
    """How a webhook ended: the answer's code, or None with the reason."""

    status: int | None
    error: str = ""

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass
class Webhook:
    provider: str
    event: str
    url: str
    params: dict[str, str]
    sign: Signer
    key: str
    method: str = "POST"
    to: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    on_done: Callable[[Outcome], None] | None = None


def is_local(url: str) -> bool:
    """Whether the address is on this computer."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _overrides(fragment: str) -> tuple[int, set[str]]:
    """(retries, what is retried) from an address's fragment."""
    values = parse_qs(fragment)
    count = values.get("rc", ["1"])[0]
    policy = set(",".join(values.get("rp", ["ct"])).split(","))
    return (min(int(count), 5) if count.isdigit() else 1), policy


class Outbound:
    """The way out. `post()` a webhook, `schedule()` anything quick for later."""

    def __init__(self, faults: Faults, journal: Journal) -> None:
        self.timeout_s = 15.0
        self._faults = faults
        self._journal = journal
        self._http = urllib3.PoolManager(num_pools=20, maxsize=THREADS)
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Callable[[], None]]] = {}
        self._ready: queue.SimpleQueue[tuple[str, Callable[[], None]] | None] = queue.SimpleQueue()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = itertools.count()
        self._tick = threading.Condition()
        self._stopped = False
        self._timer_busy = False
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(THREADS)]
        self._threads.append(threading.Thread(target=self._keep_time, daemon=True))
        for thread in self._threads:
            thread.start()

    def run(self, key: str, task: Callable[[], None]) -> None:
        """Run the task on the pool, after all earlier tasks of the same key."""
        with self._lock:
            if key in self._waiting:
                self._waiting[key].append(task)
                return
            self._waiting[key] = deque()
        self._ready.put((key, task))

    def schedule(self, delay_s: float, task: Callable[[], None]) -> None:
        """Run a quick task later on the timer's own thread."""
        with self._tick:
            heapq.heappush(self._timers, (time.monotonic() + delay_s, next(self._sequence), task))
            self._tick.notify()

    def post(self, hook: Webhook) -> None:
        """Send a webhook as soon as those before it with its key are gone."""
        self.run(hook.key, lambda: self._send(hook))

    def fetch(self, url: str, limit: int) -> tuple[str, bytes]:
        """(content type, content) of a public address on this computer. Raises OSError with a reason."""
        if not is_local(url):
            raise OSError("the simulator only fetches from this computer")
        try:
            answer = self._http.request(
                "GET", url, timeout=self.timeout_s, retries=False, preload_content=False
            )
            try:
                content = answer.read(limit + 1)
            finally:
                answer.drain_conn()
                answer.release_conn()
        except urllib3.exceptions.HTTPError as error:
            raise OSError(f"no answer ({type(error).__name__})") from error
        if answer.status != 200:
            raise OSError(f"answered {answer.status}")
        if len(content) > limit:
            raise OSError("too large")
        return answer.headers.get("Content-Type", "").split(";")[0].strip().lower(), content

    def is_idle(self) -> bool:
        with self._lock, self._tick:
            return not self._waiting and not self._timers and not self._timer_busy

    def stop(self) -> None:
        """End the threads; what was not sent yet is forgotten."""
        with self._tick:
            self._stopped = True
            self._timers.clear()
            self._tick.notify()
        for _ in range(THREADS):
            self._ready.put(None)
        # A thread may hang in a slow webhook; all are daemons, so that only politeness waits for them.
        deadline = time.monotonic() + 2
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))
        self._http.clear()

    def forget(self) -> None:
        """Drop everything that waits, for a reset."""
        with self._tick:
            self._timers.clear()
        with self._lock:
            for tasks in self._waiting.values():
                tasks.clear()

    def _work(self) -> None:
        while True:
            item = self._ready.get()
            if item is None or self._stopped:
                return
            key, task = item
            try:
                task()
            except Exception as error:
                self._journal.add_webhook(provider="", event="bug", url="", status=None, error=repr(error))
            with self._lock:
                waiting = self._waiting[key]
                if waiting:
                    self._ready.put((key, waiting.popleft()))
                else:
                    del self._waiting[key]

    def _keep_time(self) -> None:
        while True:
            with self._tick:
                if self._stopped:
                    return
                wait = self._timers[0][0] - time.monotonic() if self._timers else None
                if wait is None or wait > 0:
                    self._tick.wait(wait)
                    continue
                task = heapq.heappop(self._timers)[2]
                self._timer_busy = True
            try:
                task()
            except Exception as error:
                self._journal.add_webhook(provider="", event="bug", url="", status=None, error=repr(error))
            with self._tick:
                self._timer_busy = False

    def _send(self, hook: Webhook) -> None:
        taken = self._faults.take(
            WEBHOOK_FAULTS,
            hook.provider,
            path=urlsplit(hook.url).path,
            method=hook.method,
            to=hook.to,
            event=hook.event,
        )
        faults = {fault.kind: fault for fault in taken}
        if "webhook_delay" in faults:
            time.sleep(faults["webhook_delay"].settings["delay_ms"] / 1000)
        if "webhook_drop" in faults:
            self._log(hook, Outcome(None, "dropped on purpose"), 0, 0, False)
            return
        copies = 1 + (faults["webhook_repeat"].settings["repeat"] if "webhook_repeat" in faults else 0)
        outcome = Outcome(None)
        for copy in range(copies):
            outcome = self._deliver(hook, forged="webhook_bad_signature" in faults, copy=copy)
        if hook.on_done:
            hook.on_done(outcome)

    def _deliver(self, hook: Webhook, forged: bool, copy: int) -> Outcome:
        parts = urlsplit(hook.url)
        retries, policy = _overrides(parts.fragment)
        url = urlunsplit(parts._replace(fragment=""))
        if not is_local(url):
            outcome = Outcome(None, "refused: not an address on this computer")
            self._log(hook, outcome, 0, copy, False)
            return outcome
        form = dict(hook.params)
        if hook.method == "GET":
            url, form = url + ("&" if parts.query else "?") + urlencode(form), {}
        headers = hook.headers | hook.sign(url, form)
        if forged:
            headers = {k: v[::-1] if k.lower().endswith(PROOFS) else v for k, v in headers.items()}
        outcome = Outcome(None)
        for attempt in range(retries + 1):
            started = time.monotonic()
            outcome, failure = self._attempt(hook.method, url, form, headers)
            self._log(hook, outcome, time.monotonic() - started, copy, forged, attempt)
            if failure not in policy and not (failure and "all" in policy):
                break
        return outcome

    def _attempt(
        self, method: str, url: str, form: dict[str, str], headers: dict[str, str]
    ) -> tuple[Outcome, str | None]:
        """One try; the second value is Twilio's name for the failure (ct, rt, 4xx, 5xx) or None."""
        body = urlencode(form) if method == "POST" else None
        try:
            answer = self._http.request(
                method, url, body=body, headers=headers, timeout=self.timeout_s, retries=False, redirect=False
            )
        except (urllib3.exceptions.ConnectTimeoutError, urllib3.exceptions.NewConnectionError) as error:
            return Outcome(None, f"no connection ({type(error).__name__})"), "ct"
        except urllib3.exceptions.ReadTimeoutError:
            return Outcome(None, f"no answer within {self.timeout_s:g} s"), "rt"
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return Outcome(None, f"connection broke ({type(error).__name__})"), "ct"
        kind = f"{answer.status // 100}xx"
        return Outcome(answer.status), kind if kind in ("4xx", "5xx") else None

    def _log(
        self, hook: Webhook, outcome: Outcome, took_s: float, copy: int, forged: bool, attempt: int = 0
    ) -> None:
        self._journal.add_webhook(
            provider=hook.provider,
            event=hook.event,
            method=hook.method,
            to=hook.to,
            url=hook.url,
            params=hook.params,
            status=outcome.status,
            error=outcome.error,
            ms=round(took_s * 1000, 1),
            copy=copy,
            attempt=attempt,
            forged=forged,
        )
