"""Texts per second through the whole send path (rules, ledger of consent, outbox, pace, provider, settling) against the plain
design of one RQ job for each message, over two numbers of one business, at several answer times of the provider; and the
time from a click on Send to the provider's yes when little is going on.

Both designs meet the simulator, and a provider that costs next to nothing (bench/provider.py), since the simulator's own
work is done on the same cores. Target: at least 10 times the plain design at 30 ms.
"""

import statistics
import time
import uuid
from itertools import product
from typing import Any

import requests
from rq import Queue, Worker

from app.core import runtime, tenancy
from app.domain import contacts, conversations
from app.domain.sending import queue, senders
from app.models.account import Account
from app.models.message import Message
from bench.rig import NUMBER, SECOND, SID, TOKEN, Rig

LATENCIES_MS = (0, 30, 200)
PEOPLE = 200
TEXTS = 600
SIMULATED_TEXTS = 400
PLAIN_TEXTS = 80
# A text every 200 ms, at 30 ms latency.
CLICKS, BETWEEN_S, CLICK_LATENCY_MS = 100, 0.2, 30


def fill(account: Account, count: int, label: str) -> None:
    """Queues texts without ringing, as if a burst had been typed."""
    runtime.current().bells.silent = True
    with tenancy.session_for(account.id) as session:
        row = session.get_one(Account, account.id)
        numbers = senders.senders_of(session, account.id)
        talks = []
        for number in range(PEOPLE):
            person = contacts.find_or_create_by_phone(session, account.id, f"+1303556{number:04d}")
            talks.append((conversations.for_contact(session, person), f"+1303556{number:04d}"))
        session.commit()
        for number in range(count):
            talk, address = talks[number % PEOPLE]
            queue.queue_text(
                session,
                row,
                talk,
                to=address,
                body=f"{label} {number}",
                sender=numbers[number % PEOPLE % len(numbers)],
                author_id=None,
            )
            if number % 50 == 49:
                session.commit()
        session.commit()
    runtime.current().bells.rung.clear()


def drain_all(rig: Rig, account: Account, label: str, count: int) -> float:
    """Texts per second from the first claim to the last answer, with the reports coming in meanwhile."""
    rig.pause("schedule")
    fill(account, count, label)
    rig.go_on("schedule")
    wait_for(rig, "select count(*) from outbox", 0)
    row = rig.owner(
        "select extract(epoch from max(e.at) - min(e.at)) from message_events e join messages m on m.id = e.message_id "
        "where m.body like :label and e.step in ('claim', 'answer')",
        label=f"{label} %",
    )[0]
    settle(rig)
    return count / float(row[0])


def wait_for(rig: Rig, count: str, wanted: int, seconds: float = 120, **values: str) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        if rig.owner(count, **values)[0][0] == wanted:
            return
        time.sleep(0.1)
    raise RuntimeError(f"not within {seconds} s: {count}")


def settle(rig: Rig) -> None:
    """Until the reports of the run are in, so that they do not burden the next one."""
    end = time.perf_counter() + 60
    while time.perf_counter() < end:
        idle = rig.http.get(f"{rig.sim_url}/_sim/health", timeout=5).json()["idle"]
        if idle and rig.owner("select count(*) from webhook_events where state <> 'done'")[0][0] == 0:
            return
        time.sleep(0.2)
    raise RuntimeError("the reports did not come in within a minute")


def click(rig: Rig, account: Account) -> list[float]:
    """Milliseconds from the commit of Send to the provider's yes, its own time included."""
    runtime.current().bells.silent = False
    clicked: dict[str, float] = {}
    for number in range(CLICKS):
        end = time.perf_counter() + BETWEEN_S
        address = f"+1303556{number % PEOPLE:04d}"
        with tenancy.session_for(account.id) as session:
            row = session.get_one(Account, account.id)
            person = contacts.find_or_create_by_phone(session, account.id, address)
            talk = conversations.for_contact(session, person)
            sender = senders.default_sender(session, account.id)
            text = queue.queue_text(
                session, row, talk, to=address, body=f"click {number}", sender=sender, author_id=None
            )
            clicked[str(text.id)] = time.time()
            session.commit()
        time.sleep(max(0.0, end - time.perf_counter()))
    time.sleep(1)
    runtime.current().bells.silent = True
    accepted = rig.http.get(f"{rig.sim_url}/accepted", timeout=5).json()
    return sorted((accepted[message_id] - at) * 1000 for message_id, at in clicked.items())


def send_plainly(message_id: str) -> None:
    """The plain design: one job loads one message, calls the provider, writes one result."""
    settings = runtime.current().settings
    account_id, connection_id, row_id, number = message_id.split("|")
    with tenancy.session_for(uuid.UUID(account_id)) as session:
        message = session.get_one(Message, uuid.UUID(row_id))
        answer = requests.post(
            f"{settings.host('TWILIO_API_BASE_URL')}/2010-04-01/Accounts/{SID}/Messages.json",
            data={
                "To": message.address,
                "From": number,
                "Body": message.body,
                "StatusCallback": f"{settings.public_url}/webhooks/twilio/{connection_id}/status?message={row_id}",
            },
            auth=(SID, TOKEN),
            timeout=10,
        )
        message.provider_ref = answer.json()["sid"]
        message.state = "sent"
        session.commit()


def drain_plainly(rig: Rig, account: Account, label: str, count: int, workers: int) -> float:
    fill(account, count, label)
    ids = rig.owner(
        "select o.account_id || '|' || s.connection_id || '|' || o.message_id || '|' || s.address from outbox o "
        "join senders s on s.id = o.sender_id order by o.position"
    )
    rig.owner("delete from outbox")
    for number in range(workers):
        rig.start(f"plain-{number}", "-m", "bench.plain_worker")
    wait_for_workers(workers)
    jobs = Queue("plain", connection=runtime.current().redis, serializer="json")
    begin = time.perf_counter()
    jobs.enqueue_many([Queue.prepare_data("bench.sends.send_plainly", args=(row[0],)) for row in ids])
    done = "select count(*) from messages where state in ('sent', 'delivered') and body like :label"
    wait_for(rig, done, count, label=f"{label} %")
    took = time.perf_counter() - begin
    for number in range(workers):
        rig.stop(f"plain-{number}")
    settle(rig)
    return count / took


def wait_for_workers(count: int) -> None:
    end = time.perf_counter() + 30
    while time.perf_counter() < end and len(_plain_workers()) < count:
        time.sleep(0.1)


def _plain_workers() -> list[Worker]:
    return [w for w in Worker.all(connection=runtime.current().redis) if "plain" in w.queue_names()]


def answer_after(rig: Rig, ms: int, *, simulated: bool) -> None:
    if not simulated:
        rig.http.get(f"{rig.sim_url}/latency/{ms}", timeout=5)
        return
    rig.http.delete(f"{rig.sim_url}/_sim/faults", timeout=5)
    if ms:
        rig.control("/faults", kind="delay", provider="twilio", method="POST", delay_ms=ms, times=None)


def compare(rig: Rig, account: Account, label: str, workers: int, texts: int) -> dict[str, float]:
    """Both designs with one number of workers: texts per second."""
    rig.start_workers(inbound=1, sends=workers, chores=0, syncs=0)
    drain_all(rig, account, f"warm, {label}:", 20)
    ours = drain_all(rig, account, f"ours, {label}:", texts)
    rig.stop("workers")
    runtime.current().redis.flushdb()
    rig.start_workers(inbound=1, sends=0, chores=0, syncs=0)
    plain = drain_plainly(rig, account, f"plain, {label}:", PLAIN_TEXTS, workers)
    rig.stop("workers")
    return {"levelhead per second": ours, "one job each per second": plain}


def run() -> dict[str, Any]:
    rows: dict[str, dict[str, float]] = {}
    with Rig() as rig:
        rig.start_simulator()
        rig.start_web()
        account, _ = rig.found(numbers=(NUMBER, SECOND))
        rig.start_schedule()
        for simulated in (True, False):
            if not simulated:
                rig.start_provider()
            for latency, workers in product(LATENCIES_MS, (1, 2)):
                answer_after(rig, latency, simulated=simulated)
                name = (
                    f"{'simulator, ' if simulated else ''}{latency} ms, {workers} worker{'s' * (workers > 1)}"
                )
                rows[name] = compare(rig, account, name, workers, SIMULATED_TEXTS if simulated else TEXTS)
        answer_after(rig, CLICK_LATENCY_MS, simulated=False)
        rig.start_workers(inbound=1, sends=2, chores=0, syncs=0)
        drain_all(rig, account, "warm", 20)
        waits = click(rig, account)
    ratios = {
        f"levelhead / one job each, {name}": round(
            row["levelhead per second"] / row["one job each per second"], 1
        )
        for name, row in rows.items()
    }
    facts = {
        f"from Send to the provider's yes, provider {CLICK_LATENCY_MS} ms, p50 ms": statistics.median(waits),
        f"from Send to the provider's yes, provider {CLICK_LATENCY_MS} ms, p99 ms": waits[
            int(len(waits) * 0.99) - 1
        ],
    }
    target = {name: 10 for name in ratios if ", 30 ms, " in name}
    return {"rows": rows, "ratios": ratios, "facts": facts, "target": target}
