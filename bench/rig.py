"""The real stack in processes of its own on loopback, for benchmarks and for tests that kill things.

Postgres with fsync on, Valkey with its append-only file, granian, forked workers, the scheduler and the provider simulator,
all started and stopped by process id.
"""

import base64
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import requests
from alembic import command
from alembic.config import Config
from sqlalchemy import NullPool, create_engine, text

from app import config
from app.core import runtime, tenancy
from app.core.actor import Actor
from app.integrations import connect
from app.models.account import Account
from app.models.agency import Agency
from app.models.connection import Connection, Sender
from app.stack.postgres import EmbeddedPostgres
from app.stack.redis import EmbeddedRedis
from app.stack.spawn import spawn

ROOT = Path(__file__).parent.parent
SID, TOKEN, NUMBER, SECOND = "AC" + "7" * 32, "bench-token", "+14155550100", "+14155550101"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass
class Rig:
    durable: bool = True
    web_port: int = field(default_factory=free_port)
    sim_port: int = field(default_factory=free_port)
    # A folder whose database outlives the rig; else all lies in a temporary one.
    keep: Path | None = None

    def __enter__(self) -> "Rig":
        self.folder = self.keep or Path(tempfile.mkdtemp(prefix="lh-rig-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.folder / "redis", ignore_errors=True)
        os.chmod(self.folder, 0o755)
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.postgres = EmbeddedPostgres(self.folder / "postgres", fsync=self.durable)
        self.redis = EmbeddedRedis(self.folder / "redis", appendonly=True)
        self.postgres.__enter__()
        self.redis.__enter__()
        # A connection for each statement: some tests end Postgres in between.
        self._owner = create_engine(self.postgres.owner_url, poolclass=NullPool)
        migrations = Config(str(ROOT / "alembic.ini"))
        migrations.set_main_option("sqlalchemy.url", self.postgres.owner_url)
        command.upgrade(migrations, "head")
        self.env = self._environment()
        self.settings = config.load(self.env)
        self._before = runtime.swap(runtime.build(self.settings))
        self.http = requests.Session()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for name in list(self.children):
            self.stop(name)
        self.http.close()
        runtime.current().close()
        runtime.swap(self._before)
        self.redis.__exit__(None, None, None)
        self.postgres.__exit__(None, None, None)
        if self.keep is None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _environment(self) -> dict[str, str]:
        sim = f"http://127.0.0.1:{self.sim_port}"
        return {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "PYTHONPATH": str(ROOT),
            "LEVELHEAD_ENV": "test",
            "SECRET_KEY": secrets.token_hex(16),
            "ENCRYPTION_KEYS": "bench:" + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "DATABASE_URL": self.postgres.app_url,
            "DATABASE_OWNER_URL": self.postgres.owner_url,
            "REDIS_URL": self.redis.url,
            "PUBLIC_URL": f"http://127.0.0.1:{self.web_port}",
            "DATA_DIR": str(self.folder),
            "LOG_LEVEL": "WARNING",
            "TWILIO_API_BASE_URL": f"{sim}/twilio/api",
            "TWILIO_MESSAGING_BASE_URL": f"{sim}/twilio/messaging",
        }

    @property
    def sim_url(self) -> str:
        return f"http://127.0.0.1:{self.sim_port}"

    @property
    def web_url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    def start(self, name: str, *arguments: str, **env: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.children[name] = spawn(
                [sys.executable, *arguments], log=log, env={**self.env, **env}, cwd=ROOT
            )

    def start_web(
        self, workers: int = 1, threads: int = 8, target: str = "wsgi:app", name: str = "web"
    ) -> None:
        self.start(
            name, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(self.web_port),
            "--workers", str(workers), "--blocking-threads", str(threads), "--no-ws", "--log-level", "warning", target,
        )  # fmt: skip
        self.wait_for(f"{self.web_url}/health")

    def start_simulator(self) -> None:
        self.start("simulator", "-m", "app.sandbox", "--port", str(self.sim_port))
        self.wait_for(f"{self.sim_url}/_sim/health")
        self.control("/settings", step_delay_ms=0)

    def start_provider(self) -> None:
        """In the simulator's place once everything is connected: takes texts and reports on them, at next to no cost."""
        self.stop("simulator")
        self.start("provider", "-m", "bench.provider", "--port", str(self.sim_port), "--token", TOKEN)
        self.wait_for(f"{self.sim_url}/health")

    def pause(self, name: str) -> None:
        self.children[name].send_signal(signal.SIGSTOP)

    def go_on(self, name: str) -> None:
        self.children[name].send_signal(signal.SIGCONT)

    def start_workers(self, **counts: int) -> None:
        env = {f"WORKERS_{queue.upper()}": str(count) for queue, count in counts.items()}
        self.start("workers", "-m", "workers.boot", **env)

    def start_schedule(self) -> None:
        self.start("schedule", "-m", "workers.schedule")

    def lose_redis(self, seconds: float = 0.5) -> None:
        """Kills Redis and starts it again, empty, at the same address."""
        if self.redis.process is not None:
            self.redis.process.kill()
            self.redis.process.wait()
        time.sleep(seconds)
        for found in self.redis.data_dir.glob("appendonly*"):
            shutil.rmtree(found)
        self.redis.launch()
        self.redis.await_ready()

    def restart_postgres(self) -> None:
        """Ends Postgres without asking anybody, as a crash would, and starts it on the same data."""
        if self.postgres.process is not None:
            self.postgres.process.send_signal(signal.SIGQUIT)
            self.postgres.process.wait()
        self.postgres.launch()
        self.postgres.await_ready()

    def wait_for(self, url: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if self.http.get(url, timeout=2).ok:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.05)
        raise RuntimeError(f"{url} did not answer; see {self.folder}")

    def stop(self, name: str, number: int = signal.SIGTERM, seconds: float = 8) -> None:
        child = self.children.pop(name, None)
        if child is None:
            return
        child.send_signal(number)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(seconds)

    def control(self, path: str, /, **order: Any) -> Any:
        answer = self.http.post(f"{self.sim_url}/_sim{path}", json=order, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def owner(self, statement: str, **values: Any) -> list[Any]:
        """One statement as the owner of the tables, whom the fence does not bind."""
        with self._owner.begin() as connection:
            found = connection.execute(text(statement), values)
            return list(found.all()) if found.returns_rows else []

    def found(
        self, per_second: float = 100_000, numbers: Sequence[str] = (NUMBER,)
    ) -> tuple[Account, Connection]:
        """An agency with one account, connected to the simulator, without a pace that would be measured instead of us."""
        self.control(
            "/twilio/accounts",
            sid=SID,
            auth_token=TOKEN,
            name="Bench",
            numbers=[{"phone_number": number, "friendly_name": "Bench"} for number in numbers],
        )
        with tenancy.session_for() as session:
            agency = Agency(name="Bench")
            session.add(agency)
            session.flush()
            account = Account(
                agency_id=agency.id,
                slug="bench",
                name="Bench",
                daily_message_quota=10_000_000,
                messages_per_second=1_000_000,
            )
            session.add(account)
            session.commit()
            connection = connect.connect(
                session,
                Actor(agency.id, None, "bench"),
                account,
                "twilio",
                {"account_sid": SID, "auth_token": TOKEN},
            )
            session.query(Sender).update({"per_second": min(per_second, 999_999)})
            session.commit()
        return account, connection
