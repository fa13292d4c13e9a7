"""Agents at work on the real stack: fifty whose open pages poll as the product's do, and twenty of them writing.

Each has a conversation open (asks for news every 1.5 s), the list beside it (every 3 s), opens another conversation every
quarter of a minute and loads a whole page every minute. A writer sends a text every five seconds and pauses twice while typing,
whereupon the draft is kept and measured. They arrive within a quarter of a minute, which is not counted. BENCH_SECONDS is the
length. Target: no errors.
"""

import http.client
import multiprocessing
import os
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from app.core import tenancy
from app.core.actor import Actor
from app.integrations import connect
from app.models.account import Account
from app.models.agency import Agency
from app.models.user import User
from bench import load, screens, years
from bench.rig import NUMBER, SID, TOKEN, Rig

AGENTS, WRITERS = 50, 20
SECONDS = float(os.environ.get("BENCH_SECONDS", "120"))
MESSAGES = 100_000
# Seconds between two of a kind.
EVERY = {"thread poll": 1.5, "list poll": 3.0, "conversation": 15.0, "page": 60.0, "draft": 2.5, "send": 5.0}
WRITING = ("draft", "send")
ARRIVAL = 15.0

Times = dict[str, list[tuple[float, int]]]


@dataclass
class Agent:
    """One browser: what the page remembers between requests, and what it does when a time has come."""

    base: str
    cookie: str
    talks: list[str]
    writes: bool
    number: int
    seconds: float
    times: Times = field(default_factory=dict)

    def run(self, until: float) -> None:
        self.arrived = until - self.seconds
        self.http = http.client.HTTPConnection(urlsplit(self.base).netloc, timeout=30)
        self.after = self.oldest = "0"
        self.day = self.present = self.key = self.digest = self.csrf = ""
        self.random = random.Random(self.number)
        self.said = 0
        kinds = [kind for kind in EVERY if self.writes or kind not in WRITING]
        deeds: dict[str, Callable[[], None]] = {
            "thread poll": self.poll_thread,
            "list poll": self.poll_list,
            "conversation": self.open,
            "page": self.load_page,
            "draft": self.draft,
            "send": self.send,
        }
        time.sleep(self.random.uniform(0, ARRIVAL * 0.8))
        self.load_page()
        due = {kind: time.monotonic() + self.random.uniform(0, EVERY[kind]) for kind in kinds}
        while time.monotonic() < until:
            kind = min(due, key=lambda one: due[one])
            time.sleep(max(0.0, min(due[kind], until) - time.monotonic()))
            if time.monotonic() >= until:
                break
            deeds[kind]()
            # As in a browser: the next tick is counted from this one, however long the answer took.
            due[kind] = max(due[kind] + EVERY[kind], time.monotonic())

    def ask(self, kind: str, path: str, form: dict[str, str] | None = None, htmx: bool = True) -> str:
        headers = {"Cookie": self.cookie}
        if htmx:
            headers |= {"HX-Request": "true", "X-CSRFToken": self.csrf}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        begin = time.perf_counter()
        try:
            body = urlencode(form) if form is not None else None
            self.http.request("GET" if form is None else "POST", path, body, headers)
            answer = self.http.getresponse()
            status, text = answer.status, answer.read().decode()
            # The session's cookie is written anew when the token against forged forms joins it.
            for value in answer.headers.get_all("Set-Cookie") or []:
                if value.startswith("levelhead="):
                    self.cookie = value.partition(";")[0]
        except (OSError, http.client.HTTPException):
            self.http.close()
            status, text = 599, ""
        if time.monotonic() > self.arrived:
            self.times.setdefault(kind, []).append((time.perf_counter() - begin, status))
        return text

    @property
    def here(self) -> str:
        return f"/a/{years.SLUG}/inbox/c/{self.talk}"

    def remember(self, text: str) -> None:
        for name, pattern in (
            ("after", r'name="after" value="(\d+)"'),
            ("oldest", r'name="from" id="oldest-[^"]*" value="(\d+)"'),
            ("day", r'name="day" value="([^"]*)"'),
            ("present", r'name="present" value="([^"]*)"'),
            ("key", r'name="client_key" value="([^"]+)"'),
            ("digest", r'data-digest="([^"]+)"'),
            ("csrf", r'name="csrf-token" content="([^"]+)"'),
        ):
            if found := re.search(pattern, text):
                setattr(self, name, found[1])

    def load_page(self) -> None:
        self.talk = self.random.choice(self.talks)
        self.remember(self.ask("page", self.here, htmx=False))

    def open(self) -> None:
        self.talk = self.random.choice(self.talks)
        self.remember(self.ask("conversation", self.here))

    def poll_thread(self) -> None:
        wanted = {
            "after": self.after,
            "from": self.oldest,
            "day": self.day,
            "present": self.present,
            "writing": str(int(self.writes)),
        }
        self.remember(self.ask("thread poll", f"{self.here}/new?{urlencode(wanted)}"))

    def poll_list(self) -> None:
        wanted = {"digest": self.digest, "open": self.talk}
        self.remember(self.ask("list poll", f"/a/{years.SLUG}/inbox/list?{urlencode(wanted)}"))

    def form(self) -> dict[str, str]:
        self.said += 1
        return {
            "mode": "text",
            "body": f"See you on Friday, number {self.said} of {self.number}",
            "client_key": self.key,
            "after": self.after,
            "from": self.oldest,
            "day": self.day,
        }

    def draft(self) -> None:
        self.ask("draft", self.here + "/draft", self.form())

    def send(self) -> None:
        self.remember(self.ask("send", self.here + "/messages", self.form()))


def _crowd(agents: list[Agent], seconds: float, out: "multiprocessing.Queue[Times]") -> None:
    until = time.monotonic() + ARRIVAL + seconds
    threads = [threading.Thread(target=agent.run, args=(until,)) for agent in agents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found: Times = {}
    for agent in agents:
        for kind, pairs in agent.times.items():
            found.setdefault(kind, []).extend(pairs)
    out.put(found)


def work(rig: Rig, made: years.Made, seconds: float) -> dict[str, load.Load]:
    """The load itself, from a process of its own; by kind of request."""
    people = agents_of(rig)
    cookies = [screens.cookie(rig, token) for token in years.sign_in(people)]
    agents = [
        Agent(rig.web_url, cookie, [str(talk) for talk in made.talks], number < WRITERS, number, seconds)
        for number, cookie in enumerate(cookies)
    ]
    context = multiprocessing.get_context("fork")
    out: multiprocessing.Queue[Times] = context.Queue()
    crowd = context.Process(target=_crowd, args=(agents, seconds, out))
    crowd.start()
    found = out.get(timeout=ARRIVAL + seconds + 60)
    crowd.join()
    return {kind: load.summary(found[kind], seconds) for kind in EVERY if kind in found}


def agents_of(rig: Rig) -> list[Any]:
    known = [row[0] for row in rig.owner("select id from users where email like 'agent-%' order by email")]
    if known:
        return known
    with tenancy.session_for() as session:
        agency = session.query(Agency).one()
        agents = [
            User(
                agency_id=agency.id, email=f"agent-{n:02}@bench.test", name=f"Agent {n}", agency_role="owner"
            )
            for n in range(AGENTS)
        ]
        session.add_all(agents)
        session.commit()
        return [agent.id for agent in agents]


def connect_to_simulator(rig: Rig) -> None:
    """In the place of the connection that years.fill() makes, which leads nowhere."""
    rig.control(
        "/twilio/accounts",
        sid=SID,
        auth_token=TOKEN,
        name="Bench",
        numbers=[{"phone_number": NUMBER, "friendly_name": "Bench"}],
    )
    rig.owner("delete from senders")
    rig.owner("delete from connections")
    with tenancy.session_for() as session:
        account = session.query(Account).one()
        credentials = {"account_sid": SID, "auth_token": TOKEN}
        connect.connect(session, Actor(account.agency_id, None, "bench"), account, "twilio", credentials)
        session.commit()
    rig.owner("update senders set per_second = 999999")
    rig.owner("update accounts set daily_message_quota = 10000000, messages_per_second = 1000000")


def start_all(rig: Rig) -> years.Made:
    """Web, workers and schedule as `./run serve` counts them, on an account with years of data."""
    rig.start_simulator()
    made = years.fill(rig, MESSAGES, per_talk=10)
    rig.start_web(workers=2)
    connect_to_simulator(rig)
    rig.start_workers()
    rig.start_schedule()
    return made


def run() -> dict[str, Any]:
    with Rig(durable=True) as rig:
        made = start_all(rig)
        found = work(rig, made, SECONDS)
        sent = rig.owner("select count(*) from messages where body like 'See you on Friday, number%'")[0][0]
        left = rig.owner("select count(*) from messages where body like 'See you on Friday, number%' and state in "
                         "('sent', 'delivered')")[0][0]  # fmt: skip
    errors = sum(one.errors for one in found.values())
    return {
        "rows": {kind: vars(one) for kind, one in found.items()},
        "ratios": {"errors": errors, "texts accepted at the end / written": round(left / max(1, sent), 2)},
        "target": {"errors": 0},
        "seconds": SECONDS,
        "agents": AGENTS,
        "writers": WRITERS,
    }
