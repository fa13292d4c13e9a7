"""Rows of several threads in one statement and one commit: each thread waits until its own row is durable.

While one thread writes, the rows of the others gather; the writer's end makes the next of them the writer. A thread that is
alone writes at once. There is no thread of its own that could die, and none to be lost in a fork.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

RowT = TypeVar("RowT")
MOST = 64
# How long a group gathers when others came while the one before was written: under load one statement for five rows
# costs far less than five, and alone nobody waits.
GATHER_S = 0.001


class Late(Exception):
    """The row was not written in time; whether it will be is not known."""


class _Seat(Generic[RowT]):
    """One waiting thread: its row, and what became of it."""

    __slots__ = ("_woken", "error", "is_new", "row", "writes_next")

    def __init__(self, row: RowT) -> None:
        self.row = row
        self.is_new: bool | None = None
        self.error: BaseException | None = None
        self.writes_next = False
        self._woken = threading.Lock()
        self._woken.acquire()

    def wait(self, seconds: float) -> bool:
        return self._woken.acquire(timeout=seconds)

    def wake(self) -> None:
        self._woken.release()


class GroupCommit(Generic[RowT]):
    """`write` stores rows in one commit and says of each whether it was new. When it fails for several rows it is asked
    for each alone, so that a row that cannot be stored fails nobody else's."""

    def __init__(
        self,
        write: Callable[[Sequence[RowT]], Sequence[bool]],
        lost: type[Exception],
        seconds: float = 12,
    ) -> None:
        self._write = write
        # Errors that say nothing about a row: each of the group gets them, nothing is tried for each alone.
        self._lost = lost
        self._seconds = seconds
        self._door = threading.Lock()
        self._waiting: list[_Seat[RowT]] = []
        self._is_writing = False
        self._is_crowded = False

    def store(self, row: RowT) -> bool:
        """True when the row is new. Raises what `write` raised for it, or Late."""
        seat = _Seat(row)
        with self._door:
            self._waiting.append(seat)
            mine = not self._is_writing
            self._is_writing = True
        if not mine:
            self._await_turn(seat)
        if mine or seat.writes_next:
            self._write_waiting()
        if seat.error is not None:
            raise seat.error
        return bool(seat.is_new)

    def _await_turn(self, seat: _Seat[RowT]) -> None:
        if seat.wait(self._seconds / 2):
            return
        with self._door:
            if seat.writes_next:
                return
            if seat in self._waiting:
                self._waiting.remove(seat)
                raise Late
        # It was taken along a moment ago.
        if not seat.wait(self._seconds / 2):
            raise Late

    def _write_waiting(self) -> None:
        if self._is_crowded:
            time.sleep(GATHER_S)
        with self._door:
            group, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        try:
            self._write_group(group)
        finally:
            with self._door:
                self._is_writing = self._is_crowded = bool(self._waiting)
                for seat in self._waiting[:1]:
                    seat.writes_next = True
                    seat.wake()
            for seat in group:
                if seat.is_new is None and seat.error is None:
                    seat.error = Late()
                seat.wake()

    def _write_group(self, group: list[_Seat[RowT]]) -> None:
        try:
            for seat, is_new in zip(group, self._write([seat.row for seat in group]), strict=True):
                seat.is_new = is_new
        except self._lost as error:
            for seat in group:
                seat.error = error
        except Exception as error:
            if len(group) == 1:
                group[0].error = error
                return
            for seat in group:
                self._write_group([seat])
