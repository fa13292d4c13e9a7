"""The baseline of the inbound benchmark: three bare Flask routes that verify the same signature and insert one row durably.

`bench.bare_routes:app`; DATABASE_URL must be a role that may create a table.
"""

import json
import os
import queue
import threading
import uuid
from collections.abc import Callable

import psycopg
from flask import Flask, Response, abort, request
from psycopg_pool import ConnectionPool
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from twilio.request_validator import RequestValidator

BASE, TOKEN = os.environ["PUBLIC_URL"], os.environ["BENCH_TOKEN"]
URL = os.environ["BARE_DATABASE_URL"]
CONNINFO = URL.replace("postgresql+psycopg://", "postgresql://")

app = Flask(__name__)
validator = RequestValidator(TOKEN)


class Base(DeclarativeBase):
    pass


class Bare(Base):
    __tablename__ = "bare_events"

    id: Mapped[str] = mapped_column(primary_key=True)
    ref: Mapped[str] = mapped_column(unique=True)
    payload: Mapped[str]


engine = create_engine(URL, pool_size=16)
pool = ConnectionPool(
    CONNINFO, min_size=4, max_size=16, open=True, kwargs={"autocommit": True, "prepare_threshold": 0}
)
INSERT = "insert into bare_events (id, ref, payload) values (%s, %s, %s) on conflict (ref) do nothing"


def checked() -> tuple[str, str, str]:
    form = request.form.to_dict()
    if not validator.validate(BASE + request.path, form, request.headers.get("X-Twilio-Signature", "")):
        abort(403)
    return str(uuid.uuid4()), form["MessageSid"], json.dumps(form)


@app.get("/health")
def health() -> str:
    return "ok"


@app.post("/orm")
def orm() -> Response:
    event_id, ref, payload = checked()
    with Session(engine) as session:
        session.add(Bare(id=event_id, ref=ref, payload=payload))
        session.commit()
    return Response(status=204)


@app.post("/psycopg")
def autocommit() -> Response:
    values = checked()
    with pool.connection() as connection:
        connection.execute(INSERT, values)
    return Response(status=204)


Waiting = tuple[tuple[str, str, str], threading.Event]
waiting: "queue.SimpleQueue[Waiting]" = queue.SimpleQueue()


def write_groups() -> None:
    with psycopg.connect(CONNINFO) as connection:
        while True:
            batch = [waiting.get()]
            while not waiting.empty() and len(batch) < 64:
                batch.append(waiting.get())
            with connection.cursor() as cursor:
                cursor.executemany(INSERT, [values for values, _ in batch])
            connection.commit()
            for _, done in batch:
                done.set()


@app.post("/group")
def group() -> Response:
    values = checked()
    done = threading.Event()
    waiting.put((values, done))
    done.wait(10)
    return Response(status=204)


def start_writer() -> Callable[[], None]:
    threading.Thread(target=write_groups, daemon=True).start()
    return write_groups


start_writer()
