"""Inbound webhooks accepted durably per second, against three bare Flask routes on the same server in the same run.

Target: at least 0.8 of the psycopg route.
"""

import secrets
import uuid
from typing import Any
from urllib.parse import urlencode

from app.integrations.twilio import signature
from bench import load
from bench.rig import NUMBER, SID, TOKEN, Rig

CLIENTS = 8
SECONDS = 3.0
ROUNDS = 5
PREPARED = 4000


def form() -> dict[str, str]:
    ref = "SM" + secrets.token_hex(16)
    return {
        "MessageSid": ref,
        "SmsSid": ref,
        "AccountSid": SID,
        "From": f"+1303555{secrets.randbelow(10000):04d}",
        "To": NUMBER,
        "Body": "Is there a place free on Friday afternoon?",
        "NumMedia": "0",
        "NumSegments": "1",
        "SmsStatus": "received",
        "ApiVersion": "2010-04-01",
    }


def prepare(rig: Rig, path: str, count: int) -> list[bytes]:
    """Signed requests, each of its own message."""
    found = []
    for _ in range(count):
        values = form()
        url = rig.web_url + path
        signed = signature.compute(url, {name: [value] for name, value in values.items()}, TOKEN)
        headers = {"Content-Type": "application/x-www-form-urlencoded", signature.HEADER: signed}
        found.append(
            load.http_request("POST", path, f"127.0.0.1:{rig.web_port}", urlencode(values).encode(), headers)
        )
    return found


def measure(rig: Rig, path: str) -> load.Load:
    shares = [prepare(rig, path, PREPARED // CLIENTS) for _ in range(CLIENTS)]
    return load.run(rig.web_port, shares, SECONDS)


def run() -> dict[str, Any]:
    with Rig() as rig:
        rig.start_simulator()
        rig.start_web()
        _, connection = rig.found()
        rig.owner("create table bare_events (id text primary key, ref text unique, payload text)")
        results: dict[str, list[load.Load]] = {}
        for _ in range(ROUNDS):
            _round(rig, connection.id, results)
        stored = rig.owner("select count(*) from webhook_events where kind = 'inbound'")[0][0]
    found = {name: load.median(loads) for name, loads in results.items()}
    ours, base = found["levelhead"], found["psycopg"]
    return {
        "rows": {name: vars(one) for name, one in found.items()},
        "ratios": {
            "levelhead / psycopg": round(ours.per_second / base.per_second, 2),
            "levelhead / orm": round(ours.per_second / found["orm"].per_second, 2),
            "levelhead / group": round(ours.per_second / found["group"].per_second, 2),
        },
        "target": {"levelhead / psycopg": 0.8},
        "stored": stored,
    }


def _round(rig: Rig, connection_id: uuid.UUID, results: dict[str, list[load.Load]]) -> None:
    """Interleaved, so that a slow moment of the machine does not hit one side alone."""
    ours = f"/webhooks/twilio/{connection_id}/inbound"
    results.setdefault("levelhead", []).append(measure(rig, ours))
    rig.stop("web")
    bare = {"BARE_DATABASE_URL": rig.postgres.owner_url, "BENCH_TOKEN": TOKEN}
    rig.env.update(bare)
    rig.start_web(target="bench.bare_routes:app", name="bare")
    for name in ("orm", "psycopg", "group"):
        results.setdefault(name, []).append(measure(rig, f"/{name}"))
    rig.stop("bare")
    rig.start_web()
