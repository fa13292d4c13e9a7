"""The supervisor's promises: one stack per data directory, an orderly end, nothing left even after SIGKILL."""

import json
import os
import queue
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("dummy_stack.py")


class Stack:
    def __init__(self, data_dir: Path, trouble: str = "none", port: int | None = None) -> None:
        self.data_dir = data_dir
        self.port = port or free_ports()
        keep = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        env = keep | {"PORT": str(self.port), "DATA_DIR": str(data_dir)}
        command = [sys.executable, str(SCRIPT), trouble]
        self.process = subprocess.Popen(
            command,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: queue.Queue[str] = queue.Queue()
        self.said: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout
        with self.process.stdout as out:
            for line in out:
                self.lines.put(line.rstrip())

    def hear(self, words: str, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not any(words in line for line in self.said):
            left = deadline - time.monotonic()
            try:
                self.said.append(self.lines.get(timeout=max(0.01, left)))
            except queue.Empty:
                pytest.fail(f"never heard {words!r} in {self.said}")

    def everybody(self) -> set[int]:
        """Every process below the supervisor."""
        parents = {}
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
        found = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found - {self.process.pid}


def free_ports() -> int:
    """The first of three free ports in a row."""
    for port in range(18110, 18195, 3):
        try:
            for number in range(port, port + 3):
                socket.create_server(("127.0.0.1", number)).close()
        except OSError:
            continue
        return port
    pytest.fail("no free ports")


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for_silence(pids: set[int], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while left := {pid for pid in pids if lives(pid)}:
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.05)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    started: list[Stack] = []

    def begin(trouble: str = "none", port: int | None = None) -> Stack:
        started.append(Stack(tmp_path / "var", trouble, port))
        return started[-1]

    yield begin
    for stack in started:
        if stack.process.poll() is None:
            stack.process.terminate()
            stack.process.wait(timeout=30)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_from_start_to_ctrl_c(start: Callable[..., Stack]) -> None:
    stack = start("stubborn")
    stack.hear("ready:")
    stack.hear("ana@demo.example")
    stack.hear("[ERROR] a word for the terminal")
    stack.hear("scheduler | ended with code 3")
    note = stack.data_dir / "runtime.json"
    assert stat.S_IMODE(note.stat().st_mode) == 0o600
    settings = json.loads(note.read_text())["settings"]
    assert settings["DATABASE_URL"].startswith("postgresql+psycopg://levelhead_app@")
    assert settings["TWILIO_API_BASE_URL"] == f"http://127.0.0.1:{stack.port + 1}/twilio/api"

    second = start(port=stack.port + 1)
    assert second.process.wait(timeout=20) == 1
    second.hear(f"already running on {stack.data_dir}: http://127.0.0.1:{stack.port}")

    everybody = stack.everybody()
    assert len(everybody) > 8
    stack.process.send_signal(signal.SIGINT)
    assert stack.process.wait(timeout=20) == 0
    wait_for_silence(everybody)
    assert not note.exists()
    assert not Path(settings["REDIS_URL"].removeprefix("unix://")).parent.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_sigkill_leaves_nothing_and_the_next_start_works(start: Callable[..., Stack]) -> None:
    stack = start()
    stack.hear("ready:")
    everybody = stack.everybody()
    stack.process.kill()
    again = start(port=stack.port)
    again.hear("ready:")
    wait_for_silence(everybody)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_signal_during_the_start_is_obeyed(start: Callable[..., Stack]) -> None:
    stack = start()
    stack.hear("Starting on")
    time.sleep(0.3)
    everybody = stack.everybody()
    stack.process.send_signal(signal.SIGTERM)
    assert stack.process.wait(timeout=20) == 0
    wait_for_silence(everybody)


@pytest.mark.parametrize(("trouble", "words"), [("migrate", "no such table"), ("web", "no templates")])
def test_a_part_that_cannot_start_is_named(start: Callable[..., Stack], trouble: str, words: str) -> None:
    stack = start(trouble)
    stack.hear(words)
    assert stack.process.wait(timeout=20) == 1


def test_a_taken_port_is_named(start: Callable[..., Stack]) -> None:
    port = free_ports()
    with socket.create_server(("127.0.0.1", port)):
        stack = start(port=port)
        stack.hear(f"Port {port} is in use")
        assert stack.process.wait(timeout=20) == 1
