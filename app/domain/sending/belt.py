"""The belt between claiming and settling: texts with the provider side by side, and one thread that writes their answers.

While answers are written the next texts are claimed and others are on their way, so that neither the provider nor Postgres
waits for the other. A text counts as under way until its answer is written; the queue gives nothing else of its
conversation meanwhile, so the order of what one person gets does not depend on the belt. As soon as an answer is an error
nothing more is put on it until that answer was judged.
"""

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import TracebackType

import structlog

from app.core import tenancy
from app.core.errors import Ambiguous, Permanent, ProviderError
from app.domain.channels import Accepted, OutgoingText, TextChannel
from app.domain.sending import claim, settle
from app.domain.sending.claim import Desk
from app.domain.sending.settle import Outcome

log = structlog.get_logger()

# Under way at most, and the room at which it is worth claiming again. Each of them is looked up when the worker is killed.
CAPACITY = 128
WORTHWHILE = 64
SIDE_BY_SIDE = 64
# How long an answer waits for others to be written with, while others are due any moment.
GATHER_S = 0.015
# The share of the lease, which runs from the claim, in which a text may still be handed to the provider.
START_WITHIN = 0.75
# Says whether the drain has to stop because of these answers; called once they are written.
Judge = Callable[[Sequence[Outcome]], bool]


def start_until() -> float:
    """For what is claimed after this. Past the lease another drain may ask what became of it: what was not sent by then is
    not sent by us."""
    return time.monotonic() + claim.lease().total_seconds() * START_WITHIN


@dataclass(frozen=True)
class _Back:
    """What became of the texts to one person: answers, and those that were not tried."""

    claim_id: uuid.UUID
    outcomes: list[Outcome]
    left: list[uuid.UUID]

    @property
    def size(self) -> int:
        return len(self.outcomes) + len(self.left)

    @property
    def is_doubtful(self) -> bool:
        return any(isinstance(o.result, ProviderError) for o in self.outcomes)


class Belt:
    """Used by one drain as a context; leaving it waits until every answer is written and raises what broke there."""

    def __init__(self, desk: Desk, channel: TextChannel, judge: Judge) -> None:
        self._desk, self._channel, self._judge = desk, channel, judge
        self._came_back: SimpleQueue[_Back | None] = SimpleQueue()
        self._changed = threading.Condition()
        self._under_way = 0
        self._doubts = 0
        self._error: Exception | None = None
        self.stopped = False
        self.count = 0

    def __enter__(self) -> "Belt":
        self._pool = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="send")
        self._writer = threading.Thread(target=self._write_all, name="settle", daemon=True)
        self._writer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True)
        self._came_back.put(None)
        self._writer.join()
        if kind is None:
            self._raise_what_broke()

    def put(self, claim_id: uuid.UUID, texts: Sequence[OutgoingText], until: float) -> None:
        """Claimed texts, in the order of the queue; they leave side by side, those to one person one after the other, and
        until that moment of the monotonic clock."""
        by_person: dict[str, list[OutgoingText]] = {}
        for one in texts:
            by_person.setdefault(one.to, []).append(one)
        with self._changed:
            self._under_way += len(texts)
        for group in by_person.values():
            self._pool.submit(self._carry, claim_id, group, until)

    def wait_for_room(self) -> int:
        """How many more may be put on it; waits until that is worth it. 0 when it was stopped."""
        with self._changed:
            self._changed.wait_for(
                lambda: self.stopped or (not self._doubts and CAPACITY - self._under_way >= WORTHWHILE)
            )
            return 0 if self.stopped else CAPACITY - self._under_way

    def wait_for_answers(self) -> bool:
        """Waits until some of what is under way has been written; False when nothing was under way."""
        with self._changed:
            before = self._under_way
            if not before:
                return False
            self._changed.wait_for(lambda: self._under_way < before)
            return True

    def wait_until_empty(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._under_way)

    def _raise_what_broke(self) -> None:
        if self._error is not None:
            raise self._error

    def _carry(self, claim_id: uuid.UUID, texts: list[OutgoingText], until: float) -> None:
        done: list[Outcome] = []
        for one in texts:
            if self.stopped or time.monotonic() > until:
                break
            result = _send(self._channel, one)
            done.append(Outcome(one, result))
            if isinstance(result, ProviderError) and not isinstance(result, Permanent):
                # One that has to wait: the later ones to this person wait behind it.
                break
        back = _Back(claim_id, done, [one.message_id for one in texts[len(done) :]])
        if back.is_doubtful:
            with self._changed:
                self._doubts += 1
        self._came_back.put(back)

    def _write_all(self) -> None:
        while (first := self._came_back.get()) is not None:
            backs, ends = self._gather(first)
            stop = True
            try:
                stop = self._write(backs)
            except Exception as error:
                # What is not written stays claimed: it is looked up at the provider when its lease is over.
                self._error = self._error or error
            with self._changed:
                self.stopped = self.stopped or stop
                self._under_way -= sum(back.size for back in backs)
                self._doubts -= sum(back.is_doubtful for back in backs)
                self._changed.notify_all()
            if ends:
                return

    def _gather(self, first: _Back) -> tuple[list[_Back], bool]:
        """Everything that is back; waits a moment for more while more is under way. True with the sign to end."""
        backs, size = [first], first.size
        end = time.monotonic() + GATHER_S
        while size < self._under_way:
            try:
                more = self._came_back.get(timeout=max(0.0, end - time.monotonic()))
            except Empty:
                break
            if more is None:
                return backs, True
            backs.append(more)
            size += more.size
        return backs, False

    def _write(self, backs: Sequence[_Back]) -> bool:
        by_claim: dict[uuid.UUID, list[_Back]] = {}
        for back in backs:
            by_claim.setdefault(back.claim_id, []).append(back)
        for claim_id, group in by_claim.items():
            outcomes = [outcome for back in group for outcome in back.outcomes]
            if outcomes:
                settle.settle(self._desk, claim_id, outcomes)
            left = [message_id for back in group for message_id in back.left]
            if left:
                with tenancy.session_for(self._desk.account.id) as session:
                    claim.put_back(session, claim_id, left)
                    session.commit()
        outcomes = [outcome for back in backs for outcome in back.outcomes]
        self.count += len(outcomes)
        # What only went back says nothing of the provider.
        return self._judge(outcomes) if outcomes else False


def _send(channel: TextChannel, one: OutgoingText) -> Accepted | ProviderError:
    try:
        return channel.send(one)
    except ProviderError as error:
        return error
    except Exception as error:
        log.exception("send.broke", message_id=str(one.message_id))
        return Ambiguous(f"Sending broke off ({type(error).__name__}); asking what happened.", settled=False)
