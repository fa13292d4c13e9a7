"""The embedded servers: data survives, a crash is recovered from, and the app's role is behind the fence."""

import os
import signal
from pathlib import Path

import psycopg
import pytest
from redis import Redis

from app.stack.postgres import EmbeddedPostgres, create_database, drop_database
from app.stack.redis import EmbeddedRedis
from app.stack.server import ServerFailed
from app.stack.spawn import wait_until


def test_postgres_keeps_data_over_stop_and_kill(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "postgres", fsync=False) as pg:
        with pg.connect("levelhead") as connection:
            connection.execute("create table kept (word text)")
            connection.execute("insert into kept values ('one')")
        socket_dir = pg.socket_dir
        create_database(pg, "copy", template="levelhead")
        drop_database(pg, "copy")
        drop_database(pg, "copy")
    assert not socket_dir.exists()
    with EmbeddedPostgres(tmp_path / "postgres") as pg:
        with pg.connect("levelhead") as connection:
            connection.execute("insert into kept values ('two')")
        assert pg.process
        os.kill(pg.process.pid, signal.SIGKILL)
        assert wait_until(lambda: not pg.is_running(), 5)
        # As the supervisor does it: the address stays.
        pg.launch()
        pg.await_ready()
        with pg.connect("levelhead") as connection:
            assert connection.execute("select count(*) from kept").fetchone() == (2,)


def test_roles_own_nothing_they_should_not(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "postgres", fsync=False) as pg:
        with pg.connect() as connection:
            rows = connection.execute(
                "select rolname, rolsuper or rolbypassrls or rolcreaterole from pg_roles "
                "where rolname in ('levelhead_owner', 'levelhead_app') order by 1"
            ).fetchall()
        assert rows == [("levelhead_app", False), ("levelhead_owner", False)]
        app = psycopg.connect(host=str(pg.socket_dir), user="levelhead_app", dbname="levelhead")
        with app, pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute("create table mine (id int)")


def test_a_note_of_a_dead_server_does_not_stop_the_next(tmp_path: Path) -> None:
    """After a reboot the number in postmaster.pid may belong to any program, here to the test itself."""
    with EmbeddedPostgres(tmp_path / "postgres", fsync=False) as pg:
        note = (pg.data_dir / "postmaster.pid").read_text().splitlines()
    note[0] = str(os.getpid())
    (pg.data_dir / "postmaster.pid").write_text("\n".join(note) + "\n")
    with EmbeddedPostgres(tmp_path / "postgres", fsync=False) as pg:
        assert pg.answers()


def test_bad_settings_are_told_with_the_last_words(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match="no_such_setting"):
        EmbeddedPostgres(tmp_path / "postgres", extra_settings={"no_such_setting": "1"}).start()


def test_redis_keeps_data_over_stop_and_kill(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / "redis") as server:
        client = Redis.from_url(server.url)
        client.set("word", "kept")
        client.close()
    with EmbeddedRedis(tmp_path / "redis") as server:
        assert server.process
        os.kill(server.process.pid, signal.SIGKILL)
        assert wait_until(lambda: not server.is_running(), 5)
        server.launch()
        server.await_ready()
        client = Redis.from_url(server.url)
        assert client.get("word") == b"kept"
        client.close()
