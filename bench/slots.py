"""The first free times of a month on the public booking page, for 1, 10 and 50 hosts with 10,000 busy times each.

The busy times of each host lie within the year ahead. Measured in the same run: the whole page over HTTP as it is asked for
again and again, the same after something has changed in the calendar of one host before each request, working out the free
times by themselves (queries, engine, dates of the guest's zone), and an empty Flask page over HTTP (a template without a
database). Target: the page of ten hosts within three times an empty page.
"""

import gzip
import re
import secrets
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select, text

from app.core import tenancy
from app.core.clock import now
from app.domain.booking import busy_times, offer
from app.models.account import Account
from app.models.agency import Agency
from app.models.calendar import Calendar, CalendarHost
from app.models.schedule import Schedule
from app.models.user import Membership, User
from bench import load
from bench.rig import Rig

HOSTS = (1, 10, 50)
BUSY_EACH = 10_000
REQUESTS = 300
ROUNDS = 3
# Visits after a change, in each round.
CHANGES = 20
_CONNECTION = """
insert into connections (id, account_id, provider, external_ref, credentials, user_id)
select gen_random_uuid(), :account, 'google', u.id::text, '', u.id from users u where u.id = any (:people)
"""
_LINKED = """
insert into linked_calendars (id, account_id, connection_id, user_id, ref, name, checks_conflicts, synced_at)
select gen_random_uuid(), c.account_id, c.id, c.user_id, 'primary', 'Work', true, now()
from connections c where c.account_id = :account
"""
_BUSY = """
insert into busy_times (id, account_id, linked_calendar_id, user_id, event_ref, starts_at, ends_at, title)
select gen_random_uuid(), l.account_id, l.id, l.user_id, 'e' || n, t.at, t.at + (15 + (n * 7) % 50) * interval '1 minute', 'x'
from linked_calendars l, generate_series(1, :each) n,
     lateral (select date_trunc('hour', now()) + (n * 365.0 * 1440 / :each + (hashtext(l.id::text || n) % 600) / 10.0)
                     * interval '1 minute' as at) t
where l.account_id = :account
"""


def build(rig: Rig) -> dict[int, Account]:
    """An account for each number of hosts, with a round robin open from 8 to 20."""
    with tenancy.session_for() as session:
        agency = Agency(name="Bench")
        session.add(agency)
        session.commit()
    made = {}
    for count in HOSTS:
        with tenancy.session_for() as session:
            account = Account(agency_id=agency.id, slug=f"bench-{count}", name=f"Bench {count}")
            people = [
                User(
                    agency_id=agency.id, email=f"h{n}-{count}-{secrets.token_hex(3)}@b.test", name=f"Host {n}"
                )
                for n in range(count)
            ]
            session.add_all([account, *people])
            session.flush()
            session.add_all(Membership(user_id=one.id, account_id=account.id, role="user") for one in people)
            session.commit()
        _open(account, people)
        rig.owner(_CONNECTION, account=account.id, people=[one.id for one in people])
        rig.owner(_LINKED, account=account.id)
        rig.owner(_BUSY, account=account.id, each=BUSY_EACH)
        made[count] = account
    rig.owner("analyze")
    return made


def _open(account: Account, people: list[User]) -> None:
    with tenancy.session_for(account.id) as session:
        hours = {str(day): [["08:00", "12:00"], ["12:00", "20:00"]] for day in range(7)}
        session.add(
            Schedule(
                account_id=account.id, name="Hours", timezone=account.timezone, weekly=hours, is_default=True
            )
        )
        calendar = Calendar(
            account_id=account.id,
            slug="visit",
            name="Visit",
            kind="round_robin",
            durations=[30],
            buffer_after=5,
        )
        calendar.hosts = [
            CalendarHost(account_id=account.id, user_id=one.id, position=n) for n, one in enumerate(people)
        ]
        session.add(calendar)
        session.commit()


def run() -> dict[str, Any]:
    with Rig(durable=False) as rig:
        rig.env["TRUSTED_PROXIES"] = "1"
        accounts = build(rig)
        rows = {}
        for count, account in accounts.items():
            rows |= _alone(rig, count, account)
        rows |= _pages(rig, accounts)
        weight = _weight(rig, accounts[10])
    base = rows["empty page"]["p50 ms"]
    ratios = {}
    for count in HOSTS:
        ratios[f"free times of {count} / empty page at p50"] = (
            rows[f"free times, {count} hosts"]["p50 ms"] / base
        )
        for what in ("", ", one changed"):
            ratios[f"page of {count}{what} / empty page at p50"] = (
                rows[f"page, {count} hosts{what}"]["p50 ms"] / base
            )
    ratios["free times of 50 / of 1 at p50"] = (
        rows["free times, 50 hosts"]["p50 ms"] / rows["free times, 1 hosts"]["p50 ms"]
    )
    return {
        "rows": rows,
        "ratios": {name: round(value, 2) for name, value in ratios.items()},
        "target": {"page of 10 / empty page at p50": 3},
        "facts": weight,
    }


def _pages(rig: Rig, accounts: dict[int, Account]) -> dict[str, dict[str, Any]]:
    """Over HTTP, the kinds interleaved, so that a slow moment of the machine does not hit one alone."""
    month = (now() + timedelta(days=20)).strftime("%Y-%m")
    paths = {f"page, {n} hosts": f"/book/{one.slug}/visit?month={month}" for n, one in accounts.items()}
    found: dict[str, list[load.Load]] = {}
    for _ in range(ROUNDS):
        rig.start_web()
        for name, path in paths.items():
            found.setdefault(name, []).append(_measure(rig, path))
        for count, path in zip(accounts, paths.values(), strict=True):
            found.setdefault(f"page, {count} hosts, one changed", []).append(
                _measure_changes(rig, accounts[count], path)
            )
        rig.stop("web")
        rig.start_web(target="bench.empty_page:app", name="empty")
        found.setdefault("empty page", []).append(_measure(rig, "/empty"))
        rig.stop("empty")
    return {name: _row(load.median(loads)) for name, loads in found.items()}


def _weight(rig: Rig, account: Account) -> dict[str, float]:
    """What a phone fetches for the page of ten hosts with nothing in its cache: the page and what it names, compressed."""
    rig.start_web()
    page, size = _fetch(rig, f"/book/{account.slug}/visit")
    named = sorted(set(re.findall(r'<(?:script|link|img)[^>]* (?:src|href)="(/[^"]+)"', page)))
    sizes = [size, *(_fetch(rig, path)[1] for path in named)]
    rig.stop("web")
    return {"booking page, bytes": sum(sizes), "booking page, requests": len(sizes)}


def _fetch(rig: Rig, path: str) -> tuple[str, int]:
    """The text, and how many bytes travelled."""
    answer = rig.http.get(rig.web_url + path, headers={"Accept-Encoding": "gzip"}, stream=True, timeout=10)
    answer.raise_for_status()
    sent = answer.raw.read()
    text = gzip.decompress(sent) if answer.headers.get("Content-Encoding") == "gzip" else sent
    return text.decode(), len(sent)


def _row(one: load.Load) -> dict[str, Any]:
    return {"p50 ms": one.p50, "p99 ms": one.p99, "per second": one.per_second, "errors": one.errors}


def _measure(rig: Rig, path: str) -> load.Load:
    """Each hundred requests from another address: visitors are many, and one alone is turned away at that pace."""
    requests = [
        load.http_request(
            "GET",
            path,
            f"127.0.0.1:{rig.web_port}",
            headers={
                "X-Forwarded-For": f"10.{secrets.randbelow(250)}.7.{n // 100}",
                "Accept-Encoding": "gzip",
            },
        )
        for n in range(REQUESTS)
    ]
    load.run(rig.web_port, [requests[:20]], 20)
    return load.run(rig.web_port, [requests], 60)


def _measure_changes(rig: Rig, account: Account, path: str) -> load.Load:
    """One visitor, and before each visit the calendar of one host has changed."""
    request = load.http_request(
        "GET",
        path,
        f"127.0.0.1:{rig.web_port}",
        headers={"X-Forwarded-For": f"10.251.8.{account.id.int % 250}", "Accept-Encoding": "gzip"},
    )
    runs = []
    for _ in range(CHANGES):
        _change_one(account)
        runs.append(load.run(rig.web_port, [[request]], 5))
    return load.summary([(run.p50 / 1000, 200 if not run.errors else 500) for run in runs], 1)


def _alone(rig: Rig, count: int, account: Account) -> dict[str, dict[str, Any]]:
    """slots_for of the next month in this process: as it is asked again and again, after one person's calendar changed, and
    for the first time."""
    return {
        f"free times, {count} hosts": _timed(account, 200, lambda: None),
        f"free times, {count} hosts, one changed": _timed(account, 30, lambda: _change_one(account)),
        f"free times, {count} hosts, never read": _timed(account, 10, _forget),
    }


def _change_one(account: Account) -> None:
    with tenancy.session_for(account.id) as session:
        session.execute(
            text("update busy_times set title = title where id = (select id from busy_times limit 1)")
        )
        session.commit()


def _forget() -> None:
    busy_times.forget_all()
    offer.forget_all()


def _timed(account: Account, times: int, before: Callable[[], None]) -> dict[str, Any]:
    first = (now() + timedelta(days=20)).date().replace(day=1)
    last = (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    took = []
    with tenancy.session_for(account.id) as session:
        calendar = session.scalars(select(Calendar)).one()
        # Known beforehand, as on the page; a rollback would have it asked for again.
        session.expunge(calendar)
        for _ in range(times + 3):
            before()
            session.rollback()
            begin = time.perf_counter()
            offer.slots_for(session, calendar, 30, first, last, ZoneInfo(account.timezone), now())
            took.append(time.perf_counter() - begin)
    return _row(load.summary([(one, 200) for one in took[3:]], sum(took[3:])))
