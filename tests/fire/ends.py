"""What must be true when the fire is out, asked as the owner of the tables, of Redis, of the simulator and of the disk."""

import time
from collections import Counter
from typing import Any

import redis
from rq import Queue
from rq.registry import StartedJobRegistry

from app.core.jobs import QUEUES
from tests.fire.town import Town

# The provider's last word about a text, and the state it must have with us.
FURTHEST = {"delivered": "delivered", "undelivered": "failed", "failed": "failed", "sent": "sent"}
_COUNTS = {
    "texts in the queue": "select count(*) from outbox",
    "open events": "select count(*) from webhook_events where state in ('waiting', 'working', 'failed')",
    "open texts": "select count(*) from messages where direction = 'out' "
    "and state not in ('delivered', 'failed', 'refused', 'canceled')",
    "pictures": "select count(*) from attachments where state = 'waiting'",
    "mails": "select count(*) from mails where state in ('waiting', 'sending')",
}
_LEFT_BEHIND = {
    "advisory locks": "select count(*) from pg_locks where locktype = 'advisory'",
    "transactions left open": "select count(*) from pg_stat_activity where state like 'idle in transaction%'",
    "claims of events": "select count(*) from webhook_events where lease_until is not null",
    "open breakers": "select (select count(*) from circuit_breakers) + (select count(*) from provider_breakers)",
    "dead letters": "select count(*) from webhook_events where state = 'dead'",
    "events that changed nothing": "select count(*) from webhook_events where state = 'ignored'",
}


def accepted(town: Town) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = town.http.get(
        f"{town.sim_url}/_sim/twilio/messages?limit=100000", timeout=20
    ).json()["messages"]
    return found


def open_work(town: Town) -> dict[str, int]:
    counts = {name: int(town.owner(query)[0][0]) for name, query in _COUNTS.items()}
    counts["letters"] = 0 if town.office.is_idle else 1
    counts["simulator"] = 0 if town.http.get(f"{town.sim_url}/_sim/health", timeout=10).json()["idle"] else 1
    return {name: count for name, count in counts.items() if count}


def wait_until_out(town: Town, seconds: float) -> None:
    end = time.monotonic() + seconds
    while left := open_work(town):
        if time.monotonic() > end:
            raise AssertionError({"left": left, **_why(town)})
        time.sleep(0.5)


def _why(town: Town) -> dict[str, Any]:
    return {
        "outbox": town.owner(
            "select state, attempts, checks, run_at - now(), lease_until - now() from outbox limit 5"
        ),
        "events": town.owner(
            "select state, kind, error, attempts, next_try_at - now() from webhook_events where state <> 'done' limit 5"
        ),
        "messages": town.owner("select direction, state, count(*) from messages group by 1, 2"),
        "answers": dict(town.office.answers),
        "logs": town.logs("Traceback", "rror")[-15:],
    }


def nothing_left_behind(town: Town, seconds: float) -> None:
    """Rows, locks and jobs go by themselves within the time; files are never left."""
    end = time.monotonic() + seconds
    while left := _left(town):
        assert time.monotonic() < end, left
        time.sleep(1)
    media = town.settings.media_dir
    files = [path for path in media.rglob("*") if path.is_file()] if media.exists() else []
    stored = int(town.owner("select count(*) from attachments where state = 'stored'")[0][0])
    assert len(files) == stored, [str(path) for path in files][:10]


def _left(town: Town) -> dict[str, int]:
    left = {name: int(town.owner(query)[0][0]) for name, query in _LEFT_BEHIND.items()}
    connection = redis.Redis.from_url(town.settings.redis_url)
    for name in QUEUES:
        queue = Queue(name, connection=connection, serializer="json")
        left[f"{name}: jobs taken for running"] = StartedJobRegistry(queue=queue).count
    connection.close()
    return {name: count for name, count in left.items() if count}


def one_for_each(bodies: list[str], wanted: list[str]) -> None:
    counted, expected = Counter(bodies), Counter(wanted)
    assert counted == expected, {
        "lost": list((expected - counted).elements())[:10],
        "twice": list((counted - expected).elements())[:10],
    }
