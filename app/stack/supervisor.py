"""Starts the stack in order, keeps it running, stops it in the reverse order.

Order: signal handlers first (an early version set them late and left servers behind), the data directory's
lock, Postgres and Redis, the simulator, migrations, web, demo data, then workers and scheduler, so that
nobody works on half a seed. A handler only raises a flag; every wait looks at it. This module prints; it logs
nothing.
"""

import contextlib
import http.client
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from types import FrameType

from app.stack.child import Child, rotate
from app.stack.plan import ROOT, Plan
from app.stack.postgres import EmbeddedPostgres
from app.stack.programs import Program
from app.stack.redis import EmbeddedRedis
from app.stack.runtime import remove_note, take_data_dir, write_note
from app.stack.server import EmbeddedServer
from app.stack.spawn import signal_group, spawn
from app.stack.warm import is_migrated, remember_people, remembered_people

STEP = 0.05
READY_WITHIN = 90.0
DEATHS_BEFORE_GIVING_UP = 3


class StopAsked(Exception):
    """Somebody pressed Ctrl-C or sent SIGTERM while a step was waiting."""


class StartFailed(Exception):
    """A part did not come up; the text holds its last words."""


class Supervisor:
    def __init__(self, plan: Plan, parts: Mapping[str, Program]) -> None:
        self.plan = plan
        self.parts = parts
        self.environment = plan.environment
        self.postgres: EmbeddedPostgres | None = None
        self.redis: EmbeddedRedis | None = None
        self.children: list[Child] = []
        self.signals = 0

    def run(self) -> int:
        """Until a signal asks for the end. Raises AlreadyRunning, StartFailed, ServerFailed."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Under nohup a closed terminal is no reason to stop; a shell's "&" may ignore SIGINT, which we want.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._note_signal)
        with take_data_dir(self.plan.data_dir):
            try:
                self._start()
                while True:
                    self._tend()
                    self._pause(0.2)
            except StopAsked:
                return 0
            finally:
                self._stop()

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        self.signals += 1

    def _pause(self, seconds: float = STEP) -> None:
        if self.signals:
            raise StopAsked
        time.sleep(seconds)
        if self.signals:
            raise StopAsked

    # --- start

    def _start(self) -> None:
        self._refuse_taken_ports()
        self.plan.logs.mkdir(parents=True, exist_ok=True)
        say(f"Starting on {self.plan.data_dir} ...")
        self._start_servers()
        write_note(self.plan, self.environment)
        demo = self.plan.mode == "demo"
        if demo:
            self._start_child("simulator")
        if not is_migrated(self.postgres):
            self._run_once("migrate")
        self._start_child("web")
        people = self._seed() if demo else ""
        self._start_child("workers")
        self._start_child("scheduler")
        self._await(lambda: is_healthy(self.plan), "web")
        self._announce(people)

    def _seed(self) -> str:
        """Once per cluster. Gives the sign-ins of the demo's people."""
        self._await(lambda: accepts(self.plan.simulator_port), "simulator")
        people = remembered_people(self.plan.data_dir, self.postgres)
        if not people:
            self._run_once("seed")
            people = self._run_once("people")
            remember_people(self.plan.data_dir, self.postgres, people)
        return people

    def _refuse_taken_ports(self) -> None:
        """Asked now, because a web server that shares its port (SO_REUSEPORT) would not notice."""
        wanted = {"PORT": (self.plan.host, self.plan.port)}
        if self.plan.mode == "demo":
            wanted["SIM_PORT"] = ("127.0.0.1", self.plan.simulator_port)
            wanted["SIM_SMTP_PORT"] = ("127.0.0.1", self.plan.smtp_port)
        for name, (host, port) in wanted.items():
            # What an earlier start left behind needs a moment to go.
            deadline = time.monotonic() + 3
            while not is_free(host, port):
                if time.monotonic() > deadline:
                    raise StartFailed(
                        f"Port {port} is in use by another program; choose another with {name}=..."
                    )
                self._pause()

    def _start_servers(self) -> None:
        servers: list[EmbeddedServer] = []
        if self.plan.own_postgres:
            log = self.plan.logs / "postgres.log"
            self.postgres = EmbeddedPostgres(self.plan.data_dir / "postgres", log_file=log)
            servers.append(self.postgres)
        if self.plan.own_redis:
            self.redis = EmbeddedRedis(self.plan.data_dir / "redis", log_file=self.plan.logs / "redis.log")
            servers.append(self.redis)
        for server in servers:
            rotate(server.log_file)
            server.launch()
            self._pause(0)
        for server in servers:
            server.await_ready()
        if self.postgres:
            self.environment["DATABASE_URL"] = self.postgres.app_url
            self.environment["DATABASE_OWNER_URL"] = self.postgres.owner_url
        if self.redis:
            self.environment["REDIS_URL"] = self.redis.url

    def _start_child(self, name: str) -> None:
        program = self.parts[name]
        child = Child(name, program.command, self.environment, ROOT, self.plan.logs, program.grace)
        self.children.append(child)
        child.start()

    def _run_once(self, name: str) -> str:
        """What it printed. Its errors go to logs/<name>.log, and to the terminal when it fails."""
        output, errors = self.plan.logs / f"{name}.out", self.plan.logs / f"{name}.log"
        with output.open("wb") as out, errors.open("wb") as err:
            process = spawn(self.parts[name].command, log=out, errors=err, env=self.environment, cwd=ROOT)
        try:
            while process.poll() is None:
                self._tend()
                self._pause()
        finally:
            signal_group(process, signal.SIGKILL)
            process.wait()
        text = output.read_text(errors="replace")
        output.unlink()
        if process.returncode != 0:
            told = (errors.read_text(errors="replace") + text).strip()
            raise StartFailed(f"{name} failed (exit code {process.returncode}):\n{told[-4000:]}")
        return text

    def _await(self, condition: Callable[[], bool], name: str) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while not condition():
            self._tend()
            for child in self.children:
                if child.deaths >= DEATHS_BEFORE_GIVING_UP:
                    raise StartFailed(f"{child.name} does not start. Its last words:\n{child.last_words()}")
            if time.monotonic() > deadline:
                raise StartFailed(f"{name} did not answer in {READY_WITHIN:.0f} s. Logs: {self.plan.logs}")
            self._pause()

    def _announce(self, people: str) -> None:
        print(f"ready: {self.plan.address}", flush=True)
        if self.plan.mode == "demo":
            print(people.rstrip())
            print(f"Simulator (customers' phones, trouble, mail): {self.plan.simulator_url}")
        print("Ctrl-C stops everything.", flush=True)

    # --- run

    def _tend(self) -> None:
        for child in self.children:
            for line in child.tend():
                say(f"{child.name:<9} | {line}")
        for server in (self.postgres, self.redis):
            if server is not None and server.process is not None and not server.is_running():
                say(f"{server.name} ended unexpectedly; starting it again. Log: {server.log_file}")
                server.launch()
                server.await_ready()

    # --- stop

    def _stop(self) -> None:
        """Those who ask before those who answer. A second signal means: at once."""
        say("Stopping ...")
        self.signals = 0
        answering = [child for child in self.children if child.name == "simulator"]
        asking = [child for child in reversed(self.children) if child.name != "simulator"]
        for group in (asking, answering):
            for child in group:
                child.ask_to_stop()
            deadline = time.monotonic() + max((child.grace for child in group), default=0)
            while not all(child.has_ended() for child in group):
                if self.signals or time.monotonic() > deadline:
                    break
                time.sleep(STEP)
            for child in group:
                child.kill()
        for server in (self.redis, self.postgres):
            if server is not None:
                server.stop()
        remove_note(self.plan.data_dir)


def say(text: str) -> None:
    # The terminal may be gone (SIGHUP): no reason to stop stopping.
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def is_healthy(plan: Plan) -> bool:
    connection = http.client.HTTPConnection(plan.address.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
