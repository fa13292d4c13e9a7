"""One program of the stack: started with a log of its own, started again when it dies, watched for errors."""

import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.stack.spawn import signal_group, spawn

ROTATE_ABOVE = 10 * 1024 * 1024
LONGEST_WAIT = 30.0
# A child that lived this long has earned a quick restart.
STEADY_AFTER = 60.0
ERROR_LINE = re.compile(
    rb'"level": ?"(error|critical)"|\[(ERROR|CRITICAL)\]|^(ERROR|CRITICAL)\b|\b(FATAL|PANIC): '
)
ECHO_PER_LOOK = 5


def rotate(log_file: Path) -> None:
    if log_file.exists() and log_file.stat().st_size > ROTATE_ABOVE:
        log_file.replace(log_file.with_name(f"{log_file.name}.1"))


class LogWatch:
    """Gives out the error lines that were added to a log since the last look."""

    def __init__(self, log_file: Path) -> None:
        self.log_file = log_file
        self.seen = log_file.stat().st_size if log_file.exists() else 0

    def new_errors(self) -> list[str]:
        try:
            if self.log_file.stat().st_size <= self.seen:
                return []
            with self.log_file.open("rb") as file:
                file.seek(self.seen)
                text = file.read(1024 * 1024)
        except OSError:
            return []
        whole = text.rpartition(b"\n")[0]
        self.seen += len(whole) + 1 if whole else 0
        found = [line for line in whole.splitlines() if ERROR_LINE.search(line)]
        return [line.decode(errors="replace")[:400] for line in found[:ECHO_PER_LOOK]]


class Child:
    """`tend()` it now and then: it starts the program when its time has come and says what happened."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        logs: Path,
        grace: float = 10.0,
    ) -> None:
        self.name = name
        self.command = command
        self.env = env
        self.cwd = cwd
        self.grace = grace
        self.log_file = logs / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.deaths = 0
        self.started = 0.0
        self.start_at = 0.0
        rotate(self.log_file)
        self.watch = LogWatch(self.log_file)

    def start(self) -> None:
        with self.log_file.open("ab") as log:
            self.process = spawn(self.command, log=log, env=self.env, cwd=self.cwd)
        self.started = time.monotonic()

    def tend(self) -> list[str]:
        """Sentences and error lines for the terminal."""
        said = self.watch.new_errors()
        if self.process is None:
            if time.monotonic() >= self.start_at:
                self.start()
            return said
        code = self.process.poll()
        if code is None:
            return said
        # What it started itself must not stay behind and hold its port.
        self.kill()
        self.process = None
        lived = time.monotonic() - self.started
        self.deaths = 1 if lived > STEADY_AFTER else self.deaths + 1
        wait = min(LONGEST_WAIT, 0.5 * 2 ** (self.deaths - 1))
        self.start_at = time.monotonic() + wait
        return [
            *said,
            f"ended with code {code} after {lived:.0f} s; again in {wait:g} s. Log: {self.log_file}",
        ]

    def last_words(self, lines: int = 15) -> str:
        try:
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def ask_to_stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def kill(self) -> None:
        """The program and whatever it started, when that is still there."""
        if self.process is not None:
            signal_group(self.process, 9)
            self.process.wait()
