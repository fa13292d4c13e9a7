"""The promise, with real processes: workers and web are killed at random, answers are lost, webhooks come ten times.

FIRE_TEXTS sets the size (default 150 out and 150 in); the whole ends within two minutes at the default.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from app.core import runtime, tenancy
from app.domain import contacts, conversations
from app.domain.sending import queue, senders
from app.models.account import Account
from app.models.message import Message
from bench.rig import NUMBER, Rig

TEXTS = int(os.environ.get("FIRE_TEXTS", "150"))
PEOPLE = 40
LEASE = "6"


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Rig(durable=False) as made:
        before = runtime.current()
        made.env["SEND_LEASE_SECONDS"] = LEASE
        made.start_simulator()
        made.start_web(workers=1, threads=8)
        yield made
        assert runtime.current() is before


def children_of(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(word) for word in file.read().split()]
    except FileNotFoundError:
        return []


def kill_a_worker(rig: Rig, dice: random.Random) -> None:
    family = rig.children.get("workers")
    found = children_of(family.pid) if family else []
    if found:
        os.kill(dice.choice(found), signal.SIGKILL)


def everything_settled(rig: Rig) -> bool:
    waiting = rig.owner("select count(*) from outbox")[0][0]
    events = rig.owner("select count(*) from webhook_events where state in ('waiting', 'working', 'failed')")[
        0
    ][0]
    open_texts = rig.owner(
        "select count(*) from messages where direction = 'out' and state not in ('delivered', 'failed', 'refused')"
    )[0][0]
    return not waiting and not events and not open_texts


def wait_until_settled(rig: Rig, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if everything_settled(rig) and rig.http.get(f"{rig.sim_url}/_sim/health", timeout=5).json()["idle"]:
            return
        time.sleep(0.5)
    raise AssertionError(
        {
            "outbox": rig.owner(
                "select state, attempts, checks, run_at - now(), lease_until - now() from outbox limit 5"
            ),
            "events": rig.owner(
                "select state, kind, error, attempts from webhook_events where state <> 'done' limit 5"
            ),
            "messages": rig.owner("select state, count(*) from messages group by 1"),
        }
    )


@pytest.mark.fire
def test_nothing_is_lost_and_nothing_goes_twice(rig: Rig) -> None:
    dice = random.Random(11)
    account, _ = rig.found()
    rig.control(
        "/faults",
        kind="lost_answer",
        provider="twilio",
        path="Messages",
        method="POST",
        probability=0.05,
        times=None,
    )
    rig.control("/faults", kind="webhook_repeat", provider="twilio", repeat=3, times=None)
    rig.control("/faults", kind="webhook_reorder", provider="twilio", order="shuffle", times=None)
    rig.start_workers(inbound=1, sends=2, chores=1)
    rig.start_schedule()
    sent_in = 0
    for round_number in range(6):
        queue_texts_part(account, round_number)
        for _ in range(TEXTS // 6):
            rig.control(
                "/twilio/inbound",
                **{"from": f"+1303555{sent_in % PEOPLE:04d}", "to": NUMBER, "body": f"In {sent_in}"},
            )
            sent_in += 1
        kill_a_worker(rig, dice)
        time.sleep(dice.random())
        kill_a_worker(rig, dice)
        if round_number == 2:
            rig.stop("workers", signal.SIGKILL)
            rig.start_workers(inbound=1, sends=2, chores=1)
        if round_number == 3:
            rig.restart_postgres()
        if round_number == 4:
            rig.lose_redis()
    wait_until_settled(rig, 100)
    accepted = rig.http.get(f"{rig.sim_url}/_sim/twilio/messages?limit=100000", timeout=10).json()["messages"]
    bodies = Counter(text["body"] for text in accepted)
    wanted = TEXTS // 6 * 6
    assert sum(bodies.values()) == wanted and max(bodies.values()) == 1, [b for b in bodies if bodies[b] > 1]
    with tenancy.session_for(account.id) as session:
        out = session.scalars(select(Message).where(Message.direction == "out")).all()
        came = session.scalars(select(Message).where(Message.direction == "in")).all()
        assert {m.provider_ref for m in out} == {text["sid"] for text in accepted}
        assert Counter(m.state for m in out) == {"delivered": wanted}
        assert Counter(m.body for m in came) == Counter(f"In {n}" for n in range(sent_in))
    assert rig.owner("select count(*), count(distinct contact_id) from conversations")[0] == (PEOPLE, PEOPLE)
    assert rig.owner("select count(*) from pg_locks where locktype = 'advisory'")[0][0] == 0


def queue_texts_part(account: Account, round_number: int) -> None:
    part = TEXTS // 6
    for number in range(round_number * part, (round_number + 1) * part):
        queue_one(account, number)


def queue_one(account: Account, number: int) -> None:
    address = f"+1303555{number % PEOPLE:04d}"
    with tenancy.session_for(account.id) as session:
        person = contacts.find_or_create_by_phone(session, account.id, address)
        queue.queue_text(
            session,
            session.get_one(Account, account.id),
            conversations.for_contact(session, person),
            to=address,
            body=f"Out {number}",
            sender=senders.default_sender(session, account.id),
            author_id=None,
        )
        session.commit()
