"""The trouble a visitor or a test can order, for every provider alike.

A fault says what goes wrong (`kind`), where (provider, path, method, recipient, which webhook), and how often (`times`,
`probability`, after `skip` calls). Whoever is about to answer a call or send a webhook asks `take()`; asking uses the
fault up. What a provider's own error looks like is the provider's business, not this module's.
"""

import itertools
import random
import re
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

# kind -> (where it acts, its settings with their defaults)
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "delay": ("api", {"delay_ms": 3000}),
    "rate_limited": ("api", {"retry_after": 2}),
    "quota": ("api", {}),
    "server_error": ("api", {"status": 500}),
    "auth_failure": ("api", {}),
    "reset": ("api", {}),
    "lost_answer": ("api", {}),
    "early_callback": ("api", {}),
    "webhook_delay": ("webhook", {"delay_ms": 3000}),
    "webhook_repeat": ("webhook", {"repeat": 3}),
    "webhook_drop": ("webhook", {}),
    "webhook_bad_signature": ("webhook", {}),
    "webhook_reorder": ("delivery", {"order": "reverse"}),
    "delivery_failure": ("delivery", {"error_code": 30003, "status": ""}),
}


class BadFault(ValueError):
    """The order for a fault cannot be understood; the text says why."""


@dataclass
class Fault:
    id: int
    kind: str
    provider: str = "*"
    path: str = ""
    method: str = ""
    to: str = ""
    event: str = ""
    times: int | None = 1
    probability: float = 1.0
    skip: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    hits: int = 0

    @property
    def acts_on(self) -> str:
        return KINDS[self.kind][0]

    def fits(self, provider: str, path: str, method: str, to: str, event: str) -> bool:
        return (
            self.provider in ("*", provider)
            and (not self.path or re.search(self.path, path) is not None)
            and (not self.method or self.method == method)
            and (not self.to or re.search(self.to, to) is not None)
            and (not self.event or self.event == event)
        )

    def describe(self) -> dict[str, Any]:
        return asdict(self) | {"acts_on": self.acts_on}


class Faults:
    """The faults now in force. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._active: list[Fault] = []

    def add(self, order: dict[str, Any]) -> Fault:
        """Put a fault in force. Raises BadFault with a sentence for the person who ordered it."""
        known = {"kind", "provider", "path", "method", "to", "event", "times", "probability", "skip"}
        kind = str(order.get("kind", ""))
        if kind not in KINDS:
            raise BadFault(f"Unknown kind {kind!r}. Known: {', '.join(sorted(KINDS))}.")
        defaults = KINDS[kind][1]
        unknown = set(order) - known - set(defaults)
        if unknown:
            raise BadFault(f"{kind} has no setting {', '.join(sorted(unknown))}.")
        try:
            times = order.get("times", 1)
            fault = Fault(
                id=next(self._ids),
                kind=kind,
                provider=str(order.get("provider") or "*"),
                path=re.compile(str(order.get("path") or "")).pattern,
                method=str(order.get("method") or "").upper(),
                to=re.compile(str(order.get("to") or "")).pattern,
                event=str(order.get("event") or ""),
                times=None if times is None else int(times),
                probability=float(order.get("probability", 1.0)),
                skip=int(order.get("skip", 0)),
                settings={
                    name: type(default)(order.get(name, default)) for name, default in defaults.items()
                },
            )
        except re.error as error:
            raise BadFault(f"Not a regular expression: {error}.") from error
        except (TypeError, ValueError) as error:
            raise BadFault(f"Not a number: {error}.") from error
        with self._lock:
            self._active.append(fault)
        return fault

    def take(
        self,
        kinds: Iterable[str],
        provider: str,
        path: str = "",
        method: str = "",
        to: str = "",
        event: str = "",
    ) -> list[Fault]:
        """Use up and return the faults of these kinds that fit: at most one of each kind, oldest first."""
        if not self._active:
            return []
        wanted = set(kinds)
        taken: list[Fault] = []
        with self._lock:
            for fault in list(self._active):
                if fault.kind not in wanted or not fault.fits(provider, path, method, to, event):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                if random.random() >= fault.probability:
                    continue
                wanted.discard(fault.kind)
                taken.append(fault)
                fault.hits += 1
                if fault.times is not None and fault.hits >= fault.times:
                    self._active.remove(fault)
        return taken

    def list(self) -> "list[dict[str, Any]]":
        with self._lock:
            return [fault.describe() for fault in self._active]

    def clear(self, fault_id: int | None = None) -> int:
        """Remove one fault or all; says how many went."""
        with self._lock:
            before = len(self._active)
            self._active = [f for f in self._active if fault_id is not None and f.id != fault_id]
            return before - len(self._active)
