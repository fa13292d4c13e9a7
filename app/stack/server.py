"""What the embedded Postgres and the embedded Valkey have in common: a log, a private socket directory, an
orderly end.

The socket directory is made by mkdtemp, never inside the checkout: a socket's path may have 107 bytes at
most. Its name is noted beside the data, so that the next start can clear it away after a SIGKILL.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from app.stack.spawn import Identity, signal_group, wait_until

SOCKET_PREFIX = "lvl-"


class ServerFailed(Exception):
    """An embedded server cannot run here; the text says why and what to do."""


class EmbeddedServer:
    """One server on one data directory. Start and stop it as a context manager, or with start() and
    stop().
    """

    name = "server"
    stop_signals: Sequence[int] = ()

    def __init__(self, data_dir: Path | str, log_file: Path | None = None) -> None:
        self.data_dir = Path(data_dir).absolute()
        self.log_file = log_file or self.data_dir.with_name(f"{self.data_dir.name}.log")
        self.identity: Identity | None = None
        self.socket_dir = Path()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when the server answers. Raises ServerFailed."""
        try:
            self.launch()
            self.await_ready()
        except BaseException:
            self.stop()
            raise

    def launch(self) -> None:
        """Start the process; await_ready() says when it answers. Between the two others can be started."""
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def await_ready(self, seconds: float = 60.0) -> None:
        if wait_until(lambda: not self.is_running() or self.answers(), seconds) and self.is_running():
            return
        raise ServerFailed(
            f"{self.name} did not start. Its last words ({self.log_file}):\n{self.last_words()}"
        )

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """End the server, first politely; removes the socket directory. Safe to call twice."""
        process, self.process = self.process, None
        if process is not None:
            for number in self.stop_signals:
                process.send_signal(number)
                if wait_until(lambda: process.poll() is not None, 10.0):
                    break
            else:
                process.kill()
                process.wait()
            signal_group(process, 9)
        if self.socket_dir != Path():
            shutil.rmtree(self.socket_dir, ignore_errors=True)
            self._socket_note.unlink(missing_ok=True)
            self.socket_dir = Path()

    @property
    def _socket_note(self) -> Path:
        return self.data_dir.with_name(f"{self.data_dir.name}.socket")

    def make_socket_dir(self) -> None:
        """0700 and owned by the server's account; a relaunch keeps the one it has, because clients know
        it.
        """
        if self.socket_dir != Path():
            return
        if self._socket_note.exists():
            stale = Path(self._socket_note.read_text())
            if stale.name.startswith(SOCKET_PREFIX) and stale.is_dir() and not stale.is_symlink():
                shutil.rmtree(stale, ignore_errors=True)
        # Not TMPDIR: it may be long, or closed to the account the server runs as.
        parent = "/tmp" if os.access("/tmp", os.W_OK | os.X_OK) else None
        self.socket_dir = Path(tempfile.mkdtemp(prefix=SOCKET_PREFIX, dir=parent))
        if self.identity:
            os.chown(self.socket_dir, self.identity.uid, self.identity.gid)
        self._socket_note.write_text(str(self.socket_dir))

    def open_log(self) -> IO[bytes]:
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        return self.log_file.open("ab")

    def last_words(self, lines: int = 12) -> str:
        try:
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"
