"""The promise, with real processes: everything is killed at random while texts go in and out, and nothing is lost or twice.

FIRE_TEXTS sets the size, out and in (default 150); FIRE_SEED how the dice fall. Beside the killing: one answer in twenty is
lost, one text in ten does not arrive, every webhook comes ten times, shuffled, from eight carriers at the same time, and
two versions of the code work side by side.
"""

import os
import random
import time
from collections.abc import Callable, Iterator

import pytest
import redis
from rq import Queue

from app.core import runtime
from tests.fire import ends, otherversion
from tests.fire.office import PostOffice
from tests.fire.town import Load, Town, Writer, customer_writes

TEXTS = int(os.environ.get("FIRE_TEXTS", "150"))
SEED = int(os.environ.get("FIRE_SEED", "11"))
PEOPLE = 40
# Texts a second each way while it burns, and how long the rest may take.
PACE = 7
PATIENCE = 90 + TEXTS / 4
ANY_JOB = {"result_ttl": 0, "failure_ttl": 3600, "job_timeout": 60, "ttl": 600}


@pytest.fixture
def town() -> Iterator[Town]:
    before = runtime.current() if runtime._current else None
    with PostOffice(random.Random(SEED)) as office, Town(office) as made:
        made.open()
        yield made
    assert runtime._current is before


def arson(town: Town, dice: random.Random) -> list[Callable[[], None]]:
    """Everything that happens once or more often, in the order of the dice."""
    deck: list[Callable[[], None]] = []
    deck += [lambda: town.kill_one("workers", dice)] * 6 + [lambda: town.kill_one("next", dice)] * 4
    deck += [town.kill_web] * 2 + [town.restart_postgres, town.lose_redis, lambda: lose_crew(town)]
    deck += [lambda: ring_tomorrow(town)] * 3
    deck *= 1 + TEXTS // 400
    dice.shuffle(deck)
    return deck


def lose_crew(town: Town) -> None:
    for family in ("workers", "next", "schedule"):
        town.kill_family(family)
    town.staff_up()


def ring_tomorrow(town: Town) -> None:
    """Jobs as the next version rings for them: one that this version does not know, and one with a word more."""
    connection = redis.Redis.from_url(town.settings.redis_url)
    sender = town.owner("select id from senders")[0][0]
    try:
        queue = Queue("chores", connection=connection, serializer="json")
        queue.enqueue(otherversion.NEW_JOB, **ANY_JOB)
        queue = Queue("sends", connection=connection, serializer="json")
        queue.enqueue("workers.sends.drain", args=(str(sender), "gently"), **ANY_JOB)
    finally:
        connection.close()


def burn(town: Town, loads: list[Load], dice: random.Random, seconds: float) -> None:
    """From this thread, since children die with the thread that started them."""
    deck = arson(town, dice)
    for load in loads:
        load.start()
    begin = time.monotonic()
    for place, deed in enumerate(deck):
        time.sleep(max(0, begin + seconds * (place + dice.random()) / len(deck) - time.monotonic()))
        deed()
    for load in loads:
        load.join(seconds + 120)
        assert not load.is_alive() and load.error is None, load.error


@pytest.mark.fire
def test_nothing_is_lost_and_nothing_goes_twice(town: Town) -> None:
    dice = random.Random(SEED)
    account, _ = town.found()
    trouble = {"provider": "twilio", "times": None}
    town.control("/faults", kind="lost_answer", path="Messages", method="POST", probability=0.05, **trouble)
    town.control("/faults", kind="webhook_reorder", order="shuffle", **trouble)
    town.control("/faults", kind="delivery_failure", error_code=30003, probability=0.1, **trouble)
    writer = Writer(town, account, PEOPLE)
    town.staff_up()
    seconds = TEXTS / PACE
    loads = [
        Load(writer.text, range(TEXTS), seconds),
        Load(lambda number: customer_writes(town, PEOPLE, number), range(TEXTS), seconds),
    ]
    burn(town, loads, dice, seconds)
    writer.close()
    ring_tomorrow(town)
    ends.wait_until_out(town, PATIENCE)

    asked = ends.accepted(town)
    unsent = town.owner(
        "select body, state, error_text, error_code from messages where direction = 'out' and provider_ref is null"
    )
    assert not unsent, (unsent, town.logs("send.broke", "Traceback")[-10:])
    wanted = [f"Out {number}" for number in range(TEXTS)]
    rows = town.owner("select provider_ref, body, state, error_text from messages where direction = 'out'")
    ends.one_for_each([row.body for row in rows], wanted)
    ends.one_for_each([text["body"] for text in asked], wanted)
    furthest = {text["sid"]: ends.FURTHEST[text["status"]] for text in asked}
    assert {row.provider_ref: row.state for row in rows} == furthest
    assert all(row.error_text for row in rows if row.state == "failed")
    came = town.owner("select body from messages where direction = 'in'")
    ends.one_for_each([row.body for row in came], [f"In {number}" for number in range(TEXTS)])
    talks = "select count(*), count(distinct contact_id), (select count(*) from contacts) from conversations"
    assert town.owner(talks)[0] == (PEOPLE, PEOPLE, PEOPLE)
    assert (town.settings.data_dir / otherversion.MARK).exists()
    assert set(town.office.answers) <= {0, 200, 204, 503}, town.office.answers
    assert town.office.answers[200] + town.office.answers[204] == town.office.taken * 10
    ends.nothing_left_behind(town, 60)
