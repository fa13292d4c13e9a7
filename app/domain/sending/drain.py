"""One drain per sender: checks lost answers, then claims, paces, sends and settles until nothing is due.

Only one drain works for a sender at a time (a Postgres advisory lock that ends with its process), which gives order and
makes the pace exact. Texts to different people may go side by side, texts to one person one after the other.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog
from sqlalchemy import text

from app.core import runtime, tenancy
from app.core.clock import now
from app.core.errors import NeedsReconnect, ProviderError, RateLimited
from app.core.ids import new_id
from app.core.limits import Pace, Pacer, PacingUnavailable
from app.domain.channels import TextChannel
from app.domain.sending import breaker, claim, reconcile
from app.domain.sending.belt import Belt, start_until
from app.domain.sending.claim import Desk
from app.domain.sending.settle import Outcome

log = structlog.get_logger()

# A wait shorter than this is slept through, a longer one is left to the scheduler.
SLEEP_AT_MOST = 0.3
OpenChannel = Callable[[Desk], TextChannel]
KeepOn = Callable[[], bool]


@contextmanager
def only_one(sender_id: uuid.UUID) -> Iterator[bool]:
    """True while this process is the one drain of the sender. The lock belongs to the connection: it cannot outlive us."""
    with runtime.current().database.engine.connect() as connection:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        key = {"key": sender_id.int & 0x7FFF_FFFF_FFFF_FFFF}
        got = bool(connection.scalar(text("select pg_try_advisory_lock(:key)"), key))
        try:
            yield got
        finally:
            if got:
                connection.execute(text("select pg_advisory_unlock(:key)"), key)


def drain(
    sender_id: uuid.UUID, open_channel: OpenChannel, keep_on: KeepOn = lambda: True, seconds: float = 20
) -> int:
    """Works until nothing is due, the pace says wait, or `seconds` are over; gives the number of texts sent or tried.

    What is left is rung for again: by the pacer's wake-up, by the sweep, or by the last look after the lock is freed.
    """
    end = time.monotonic() + seconds
    total = 0
    while keep_on() and time.monotonic() < end:
        with only_one(sender_id) as alone:
            if not alone:
                return total
            count, more = _drain_alone(sender_id, open_channel, keep_on, end)
            total += count
        if not more or not _has_work(sender_id):
            return total
    return total


def _has_work(sender_id: uuid.UUID) -> bool:
    """Asked once more after the lock is free, since a bell rung meanwhile found the lock taken."""
    with tenancy.session_for() as session:
        return reconcile.has_work(session, sender_id)


def _drain_alone(
    sender_id: uuid.UUID, open_channel: OpenChannel, keep_on: KeepOn, end: float
) -> tuple[int, bool]:
    desk = claim.open_desk(sender_id)
    if desk is None or not desk.usable:
        return 0, False
    pacer = Pacer(runtime.current().redis)
    obstacle = _obstacle(desk)
    if obstacle is not None and obstacle.next_probe_at > now():
        pacer.come_back(str(sender_id), obstacle.next_probe_at.timestamp())
        return 0, False
    reconcile.take_over_dead_claims(desk)
    channel = open_channel(desk)
    reconcile.check_due(desk, channel)
    probing = obstacle is not None

    def judge(outcomes: Sequence[Outcome]) -> bool:
        return _must_stop(desk, pacer, outcomes, probing, late=belt.stopped)

    with Belt(desk, channel, judge) as belt:
        more = False
        while keep_on() and time.monotonic() < end and (room := belt.wait_for_room()):
            due = _count_due(desk, 1 if probing else room)
            if due == 0:
                # What is due later may stand behind what is under way.
                if belt.wait_for_answers():
                    continue
                more = True
                break
            granted = _turns(desk, pacer, due)
            if granted == 0 or (probing and not breaker.take_probe(desk.connection.id)):
                break
            claim_id, until = new_id(), start_until()
            ids = claim.claim(desk, claim_id, granted)
            texts = claim.prepare(desk, claim_id, ids) if ids else []
            belt.put(claim_id, texts, until)
            if probing and not texts:
                _must_stop(desk, pacer, (), probing)
            more = not ids
            if more:
                break
            if probing:
                belt.wait_until_empty()
                # A probe that was refused for reasons of its own has closed nothing.
                probing = _obstacle(desk) is not None
    return belt.count, more


def _obstacle(desk: Desk) -> breaker.Obstacle | None:
    """The open breaker in the way of the connection; None when texts flow."""
    with tenancy.session_for() as session:
        return breaker.of(session, desk.connection.id)


def _count_due(desk: Desk, most: int) -> int:
    with tenancy.session_for() as session:
        return claim.count_due(session, desk.sender.id, most)


def _turns(desk: Desk, pacer: Pacer, due: int) -> int:
    """How many of them may go now; 0 when the pace says later, which is then arranged."""
    paces = (
        Pace(f"sender:{desk.sender.id}", float(desk.sender.per_second)),
        Pace(f"account:{desk.account.id}", float(desk.account.messages_per_second)),
    )
    for _ in range(2):
        try:
            granted, wait = pacer.take(paces, str(desk.sender.id), due)
        except PacingUnavailable:
            log.warning("sending.paused", reason="redis is away", sender=str(desk.sender.id))
            return 0
        if granted or wait > SLEEP_AT_MOST:
            break
        time.sleep(wait)
    if granted == 0:
        pacer.come_back(str(desk.sender.id), now().timestamp() + wait)
    return granted


def _must_stop(
    desk: Desk, pacer: Pacer, outcomes: Sequence[Outcome], probing: bool, *, late: bool = False
) -> bool:
    """What the answers mean for the pace and the breaker. Good ones that come `late`, after it was stopped, were under way
    when the breaker opened: they say nothing new and do not close it."""
    results = [o.result for o in outcomes]
    slower = [r for r in results if isinstance(r, RateLimited)]
    if slower:
        seconds = max(r.after or 5.0 for r in slower)
        pacer.pause(str(desk.sender.id), seconds)
        pacer.come_back(str(desk.sender.id), now().timestamp() + seconds)
    if late and not any(isinstance(r, ProviderError) and breaker.is_trouble(r) for r in results):
        return True
    probe_at = breaker.note(desk.connection, results, probing=probing)
    if probe_at is not None:
        pacer.come_back(str(desk.sender.id), probe_at.timestamp())
        return True
    return bool(slower) or any(isinstance(r, NeedsReconnect) for r in results)
