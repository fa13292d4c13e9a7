"""The town that burns: the real stack with two versions of the workers, a post office, people who write, and arson."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import requests
from flask import Flask
from flask.sessions import SecureCookieSessionInterface

from app.core import tenancy
from app.core.clock import now
from app.domain import contacts, conversations
from app.models.account import Account
from app.models.user import LoginSession, Membership, User
from app.stack.spawn import spawn
from app.web.identity import TOKEN as COOKIE_KEY
from app.web.identity import hash_token
from bench.rig import NUMBER, Rig
from tests.fire import otherversion
from tests.fire.office import PostOffice

LEASE = "6"
CREW = {"inbound": 1, "sends": 1, "chores": 1}


class Town(Rig):
    """A rig whose public address is the post office's."""

    def __init__(self, office: PostOffice) -> None:
        # Postgres is crashed: without a durable commit the promise cannot be kept.
        super().__init__(durable=True)
        self.office = office
        office.website = self.web_url

    def _environment(self) -> dict[str, str]:
        return super()._environment() | {"PUBLIC_URL": self.office.url, "SEND_LEASE_SECONDS": LEASE}

    def open(self) -> None:
        self.next_version = otherversion.make(self.folder / "next")
        self.start_simulator()
        self.start_web(workers=1, threads=8)

    def staff_up(self) -> None:
        self.start_workers(**CREW)
        self.start_next_workers()
        self.start_schedule()

    def start_next_workers(self) -> None:
        counts = {f"WORKERS_{queue.upper()}": str(count) for queue, count in CREW.items()}
        env = {**self.env, **counts, "PYTHONPATH": str(self.next_version)}
        with (self.folder / "next.log").open("ab") as log:
            command = [sys.executable, "-m", "workers.boot"]
            self.children["next"] = spawn(command, log=log, env=env, cwd=self.next_version)

    # Arson

    def kill_one(self, family: str, dice: random.Random) -> None:
        """One worker, at whatever it does; its parent starts another."""
        parent = self.children.get(family)
        found = _children_of(parent.pid) if parent else []
        if found:
            _kill(dice.choice(found))

    def kill_family(self, family: str) -> None:
        """The parent and all of its children, as when the machine takes them."""
        parent = self.children.pop(family)
        for pid in [parent.pid, *_children_of(parent.pid)]:
            _kill(pid)
        parent.wait(10)

    def kill_web(self) -> None:
        self.kill_family("web")
        try:
            self.start_web(workers=1, threads=8)
        except RuntimeError as error:
            raise AssertionError((str(error), self.tail("web"))) from error

    def tail(self, name: str) -> list[str]:
        return (self.folder / f"{name}.log").read_text(errors="replace").splitlines()[-12:]

    def logs(self, *words: str) -> list[str]:
        """Lines of all logs that contain one of the words."""
        found = []
        for path in sorted(self.folder.glob("*.log")):
            for line in path.read_text(errors="replace").splitlines():
                if any(word in line for word in words):
                    found.append(f"{path.stem}: {line[:400]}")
        return found


def _children_of(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


class Writer:
    """A colleague at the website: writes each text until the website has said yes to it, with the same key."""

    def __init__(self, town: Town, account: Account, people: int) -> None:
        self.town = town
        self.urls = []
        self.numbers = [f"+1303555{n:04d}" for n in range(people)]
        with tenancy.session_for(account.id) as session:
            for number in self.numbers:
                person = contacts.find_or_create_by_phone(session, account.id, number)
                talk = conversations.for_contact(session, person)
                self.urls.append(f"/a/{account.slug}/inbox/c/{talk.id}")
            session.commit()
        self.http = requests.Session()
        self.http.headers["Cookie"] = _cookie(town, _sign_in(account))
        page = self.http.get(town.web_url + self.urls[0], timeout=20)
        self.csrf = page.text.partition('name="csrf-token" content="')[2].partition('"')[0]
        assert self.csrf, page.status_code
        fresh = page.headers["Set-Cookie"].partition(";")[0]
        self.http.headers["Cookie"] = fresh

    def text(self, number: int) -> None:
        form = {
            "mode": "text",
            "body": f"Out {number}",
            "client_key": f"fire-{number}",
            "to": self.numbers[number % len(self.numbers)],
            "csrf_token": self.csrf,
        }
        thread = self.urls[number % len(self.urls)]
        url = self.town.web_url + thread + "/messages"

        def ask() -> requests.Response:
            answer = self.http.post(url, data=form, timeout=10, allow_redirects=False)
            if answer.is_redirect and not answer.headers["Location"].endswith(thread):
                raise AssertionError(f"sent to {answer.headers['Location']} instead of a yes")
            return answer

        _until_yes(ask)

    def close(self) -> None:
        self.http.close()


def customer_writes(town: Town, people: int, number: int) -> None:
    order = {"from": f"+1303555{number % people:04d}", "to": NUMBER, "body": f"In {number}"}
    requests.post(f"{town.sim_url}/_sim/twilio/inbound", json=order, timeout=10).raise_for_status()


def _until_yes(ask: Any, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    answer: Any = None
    while time.monotonic() < end:
        try:
            answer = ask()
            if answer.status_code in (200, 204, 302, 303):
                return
        except requests.RequestException as error:
            answer = error
        time.sleep(0.2)
    raise AssertionError(f"the website never said yes: {answer} {getattr(answer, 'text', '')[:300]}")


def _sign_in(account: Account) -> str:
    token = f"fire-{account.id}"
    with tenancy.session_for() as session:
        user = User(agency_id=account.agency_id, email="ben@fire.test", name="Ben Brook", agency_role="staff")
        session.add(user)
        session.flush()
        session.add(Membership(user_id=user.id, account_id=account.id, role="staff"))
        session.add(
            LoginSession(user_id=user.id, token_hash=hash_token(token), expires_at=now() + timedelta(days=1))
        )
        session.commit()
    return token


def _cookie(town: Town, token: str) -> str:
    app = Flask("fire")
    app.secret_key = town.settings.secret_key
    serializer: Any = SecureCookieSessionInterface().get_signing_serializer(app)
    return f"levelhead={serializer.dumps({COOKIE_KEY: token, '_permanent': True})}"


class Load(threading.Thread):
    """One who does a deed for each number, spread evenly over the seconds."""

    def __init__(self, deed: Any, numbers: range, seconds: float) -> None:
        super().__init__(daemon=True)
        self.deed, self.numbers, self.seconds = deed, numbers, seconds
        self.error: BaseException | None = None

    def run(self) -> None:
        begin = time.monotonic()
        try:
            for place, number in enumerate(self.numbers):
                ahead = begin + self.seconds * place / len(self.numbers) - time.monotonic()
                if ahead > 0:
                    time.sleep(ahead)
                self.deed(number)
        except BaseException as error:
            self.error = error


def processes_below(pid: int) -> list[str]:
    """For the end: who is left of the children of a process."""
    found = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True)
    return found.stdout.splitlines()
