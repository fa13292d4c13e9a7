"""The simulator as one object: settings, faults, logs, the way out, the mailbox, and what each provider remembers.

A provider's memory is a `Part`: it can be written to a JSON file and read back, so that the played world survives a
restart when `--state` names a file. Nothing here knows what a provider is called.
"""

import contextlib
import json
import os
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from flask import current_app

from app.sandbox.faults import Faults
from app.sandbox.journal import Journal
from app.sandbox.mail import Mailbox
from app.sandbox.outbound import Outbound

SAVE_EVERY_S = 2.0


class Part(Protocol):
    """What a provider remembers."""

    def dump(self) -> dict[str, Any]: ...

    def load(self, saved: dict[str, Any]) -> None: ...

    def clear(self, keep_accounts: bool = False) -> None: ...

    def version(self) -> int:
        """Grows with every change, so that an unchanged world is not written again."""
        ...


@dataclass
class Settings:
    """What the panel and tests may turn. Delays in milliseconds; a step takes between the two numbers."""

    step_delay_ms: int = 300
    step_delay_max_ms: int = 800
    latency_ms: int = 0
    webhook_timeout_ms: int = 15_000

    def change(self, wanted: dict[str, Any]) -> None:
        """Raises ValueError with a sentence. A new `step_delay_ms` alone also sets the upper end."""
        unknown = set(wanted) - set(asdict(self))
        if unknown:
            raise ValueError(f"No setting {', '.join(sorted(unknown))}.")
        numbers = {name: int(value) for name, value in wanted.items()}
        if any(n < 0 or n > 600_000 for n in numbers.values()):
            raise ValueError("A delay is between 0 and 600000 ms.")
        if "step_delay_ms" in numbers:
            numbers.setdefault("step_delay_max_ms", numbers["step_delay_ms"])
        for name, number in numbers.items():
            setattr(self, name, number)


class Simulator:
    def __init__(self, public_url: str = "", state_file: Path | None = None) -> None:
        self.public_url = public_url
        self.settings = Settings()
        self.faults = Faults()
        self.journal = Journal()
        self.outbound = Outbound(self.faults, self.journal)
        self.mailbox = Mailbox()
        self.parts: dict[str, Part] = {"mail": self.mailbox}
        self._file = state_file
        self._saved_versions: dict[str, int] = {}
        self._stop = threading.Event()
        self._saver: threading.Thread | None = None

    def change_settings(self, wanted: dict[str, Any]) -> dict[str, Any]:
        self.settings.change(wanted)
        self.outbound.timeout_s = max(self.settings.webhook_timeout_ms, 1) / 1000
        return asdict(self.settings)

    def restore(self) -> None:
        """Read the state file, if there is one, and begin to keep it up to date."""
        if self._file is None:
            return
        if self._file.exists():
            saved = json.loads(self._file.read_text("utf-8"))
            for name, part in self.parts.items():
                if name in saved:
                    part.load(saved[name])
        self._saver = threading.Thread(target=self._keep_saving, daemon=True)
        self._saver.start()

    def save(self) -> None:
        """Write what changed. The file is replaced in one step and readable by its owner only."""
        versions = {name: part.version() for name, part in self.parts.items()}
        if self._file is None or versions == self._saved_versions:
            return
        text = json.dumps({name: part.dump() for name, part in self.parts.items()})
        draft = self._file.with_suffix(".new")
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
            out.write(text)
        draft.replace(self._file)
        self._saved_versions = versions

    def reset(self, keep_accounts: bool = False) -> None:
        """Forget everything but the settings; with `keep_accounts` only what was sent, caught, logged and ordered."""
        self.outbound.forget()
        self.faults.clear()
        for part in self.parts.values():
            part.clear(keep_accounts)
        self.journal.clear()

    def stop(self) -> None:
        self._stop.set()
        if self._saver:
            self._saver.join(5)
        self.outbound.stop()
        self.save()

    def _keep_saving(self) -> None:
        while not self._stop.wait(SAVE_EVERY_S):
            # A full disk must not end the play; the next round tries again.
            with contextlib.suppress(OSError):
                self.save()


def simulator() -> Simulator:
    """The simulator behind the request being answered."""
    return cast(Simulator, current_app.extensions["simulator"])
