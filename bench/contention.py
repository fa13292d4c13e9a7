"""Bookings per second when many want the same hosts: hold and confirm, each in a transaction of its own, Postgres with fsync.

Three crowds of threads: everybody wants the same time; everybody takes any free time of ten hosts they share; everybody has
a calendar of their own, which is what the machine can do at most without waiting for each other. Every refusal carries
the three nearest times. What must hold is checked: nobody is ever in two places.
"""

import secrets
import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from app.core import tenancy
from app.core.clock import now
from app.domain.booking import book, offer
from app.domain.booking.guests import Guest
from app.domain.booking.placing import SlotTaken
from app.models.account import Account
from app.models.agency import Agency
from app.models.calendar import Calendar, CalendarHost
from app.models.schedule import Schedule
from app.models.user import Membership, User
from bench import load
from bench.rig import Rig

THREADS = 16
HOSTS = 10
SECONDS = 6.0


def run() -> dict[str, Any]:
    with Rig() as rig:
        account, people = _found()
        shared = _calendar(account, people, "shared")
        own = [_calendar(account, [person], f"own-{n}") for n, person in enumerate(_people(account, THREADS))]
        same = _free(account, shared)[-1]
        rows = {
            "the same time": _crowd(account, lambda n: (shared, same)),
            "any time of ten shared hosts": _crowd(account, _next_of(account, [shared])),
            "a calendar each": _crowd(account, _next_of(account, own)),
        }
        overlaps = rig.owner(
            "select count(*) from appointment_hosts a join appointment_hosts b on a.user_id = b.user_id and a.id < b.id "
            "and a.blocks and b.blocks and a.during && b.during"
        )[0][0]
    shared_rate, own_rate = (rows[name]["booked per second"] for name in list(rows)[1:])
    return {
        "rows": rows,
        "ratios": {
            "shared hosts / a calendar each": round(shared_rate / own_rate, 2),
            "overlaps": overlaps,
        },
        "target": {"overlaps": 0},
    }


def _found() -> tuple[Account, list[User]]:
    with tenancy.session_for() as session:
        agency = Agency(name="Bench")
        session.add(agency)
        session.flush()
        account = Account(agency_id=agency.id, slug="bench", name="Bench")
        session.add(account)
        session.commit()
    with tenancy.session_for(account.id) as session:
        hours = {str(day): [["00:00", "24:00"]] for day in range(7)}
        session.add(
            Schedule(account_id=account.id, name="Always", timezone="UTC", weekly=hours, is_default=True)
        )
        session.commit()
    return account, _people(account, HOSTS)


def _people(account: Account, count: int) -> list[User]:
    with tenancy.session_for() as session:
        people = [
            User(agency_id=account.agency_id, email=f"{secrets.token_hex(6)}@b.test", name=f"Host {n}")
            for n in range(count)
        ]
        session.add_all(people)
        session.flush()
        session.add_all(Membership(user_id=one.id, account_id=account.id, role="user") for one in people)
        session.commit()
        return people


def _calendar(account: Account, people: list[User], slug: str) -> uuid.UUID:
    with tenancy.session_for(account.id) as session:
        calendar = Calendar(
            account_id=account.id,
            slug=slug,
            name=slug,
            kind="round_robin",
            durations=[15],
            step=15,
            horizon_days=60,
        )
        calendar.hosts = [CalendarHost(account_id=account.id, user_id=one.id) for one in people]
        session.add(calendar)
        session.commit()
        return calendar.id


def _free(account: Account, calendar_id: uuid.UUID) -> list[datetime]:
    with tenancy.session_for(account.id) as session:
        calendar = session.scalars(select(Calendar).where(Calendar.id == calendar_id)).one()
        first = now().date() + timedelta(days=1)
        found = offer.slots_for(session, calendar, 15, first, first + timedelta(days=50), account.zone, now())
        return [slot.starts_at for day in found.days.values() for slot in day]


def _next_of(account: Account, calendars: list[uuid.UUID]) -> Callable[[int], tuple[uuid.UUID, datetime]]:
    """Each thread goes through the times of its calendar, those who share one in the same order."""
    times = {one: _free(account, one) for one in calendars}
    turns = {number: iter(times[calendars[number % len(calendars)]]) for number in range(THREADS)}
    return lambda number: (calendars[number % len(calendars)], next(turns[number]))


def _crowd(account: Account, wish: Callable[[int], tuple[uuid.UUID, datetime]]) -> dict[str, Any]:
    said: list[list[tuple[float, str]]] = [[] for _ in range(THREADS)]
    end = time.perf_counter() + SECONDS

    def go(number: int) -> None:
        while time.perf_counter() < end:
            calendar_id, starts_at = wish(number)
            begin = time.perf_counter()
            said[number].append((begin, _book(account, calendar_id, starts_at)))
            said[number][-1] = (time.perf_counter() - begin, said[number][-1][1])

    threads = [threading.Thread(target=go, args=(number,)) for number in range(THREADS)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begin
    every = [one for each in said for one in each]
    booked = [seconds for seconds, word in every if word == "booked"]
    taken = [seconds for seconds, word in every if word == "taken"]
    errors = len(every) - len(booked) - len(taken)
    answers = load.summary([(seconds, 200) for seconds, _ in every], took)
    return {
        "booked per second": round(len(booked) / took, 1),
        "refused per second": round(len(taken) / took, 1),
        "p50 ms": answers.p50,
        "p99 ms": answers.p99,
        "errors": errors,
    }


def _book(account: Account, calendar_id: uuid.UUID, starts_at: datetime) -> str:
    key = secrets.token_hex(8)
    try:
        with tenancy.session_for(account.id) as session:
            calendar = session.get_one(Calendar, calendar_id)
            appointment = book.hold(session, calendar, starts_at, 15, key)
            session.commit()
            guest = Guest("Bench Guest", f"{key}@b.test")
            book.confirm(session, appointment.id, guest, client_key=key)
            session.commit()
            return "booked"
    except SlotTaken:
        return "taken"
    except Exception as error:
        return type(error).__name__
