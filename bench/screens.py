"""The screens people look at all day, with a thousand messages and with years of data, by turns on two stacks of the same kind.

BENCH_MESSAGES sets the large size (1,000,000 for the full picture), BENCH_REQUESTS how often each screen is asked in a round,
BENCH_SCREENS picks screens by a part of their name, BENCH_KEEP names a folder in which the databases stay for the next run.
Targets: at most 1.5 times the small size at p99, and at most twelve queries.
"""

import os
import statistics
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import event

from app.core import runtime
from app.factory import create_app
from app.web.identity import TOKEN as COOKIE_KEY
from bench import load, years
from bench.rig import Rig

SMALL = 1_000
LARGE = int(os.environ.get("BENCH_MESSAGES", "1000000"))
REQUESTS = int(os.environ.get("BENCH_REQUESTS", "40"))
ONLY = os.environ.get("BENCH_SCREENS", "")
KEEP = os.environ.get("BENCH_KEEP", "")
ROUNDS = 5
MOST_QUERIES = 12
HTMX = {"HX-Request": "true"}


@dataclass(frozen=True)
class Screen:
    path: str
    htmx: bool = False


def screens(made: years.Made) -> dict[str, Screen]:
    inbox, contacts, talk = f"/a/{years.SLUG}/inbox", f"/a/{years.SLUG}/contacts", made.talks[0]
    tabs = ("mine", "unassigned", "all", "unread", "starred", "snoozed", "closed")
    found = {f"inbox, {tab}": Screen(f"{inbox}?tab={tab}") for tab in tabs}
    found |= {
        "inbox, poll": Screen(f"{inbox}/list?digest=-", htmx=True),
        "conversation with its list": Screen(f"{inbox}/c/{talk}"),
        "conversation": Screen(f"{inbox}/c/{talk}", htmx=True),
        "conversation, poll": Screen(f"{inbox}/c/{talk}/new?after=1000", htmx=True),
    }
    searches = {
        "rare name": "zarkovic",
        "common name": "rosa",
        "number": made.phone,
        "rare word": "warranty",
        "word in 1 of 70": "voucher",
        "word in 1 of 22": "invoice",
        "common word": "friday",
    }
    found |= {
        f"search, {name}": Screen(f"{inbox}/list?q={quote(text)}", htmx=True)
        for name, text in searches.items()
    }
    lists = {
        "by activity": "",
        "by name": "?sort=name",
        "newest": "?sort=newest",
        "common tag": "?tag=customer",
        "rare tag, by name": "?tag=pilot&sort=name",
        "rare name": "?q=zarkovic",
        "common name, by name": "?q=rosa&sort=name",
        "number": f"?q={quote(made.phone)}",
    }
    found |= {f"contacts, {name}": Screen(contacts + query) for name, query in lists.items()}
    return {name: screen for name, screen in found.items() if ONLY in name}


def cookie(rig: Rig, token: str) -> str:
    app = Flask("bench")
    app.secret_key = rig.settings.secret_key
    serializer: URLSafeTimedSerializer | None = SecureCookieSessionInterface().get_signing_serializer(app)
    assert serializer is not None
    return f"levelhead={serializer.dumps({COOKIE_KEY: token, '_permanent': True})}"


class Side:
    """One of the two stacks, with what to ask of it."""

    def __init__(self, rig: Rig, made: years.Made) -> None:
        self.rig = rig
        self.cookie = cookie(rig, made.token)
        self.screens = screens(made)
        rig.start_web()

    def ask(self, name: str, times: int) -> load.Load:
        screen = self.screens[name]
        headers = {"Cookie": self.cookie, **(HTMX if screen.htmx else {})}
        one = load.http_request("GET", screen.path, f"127.0.0.1:{self.rig.web_port}", headers=headers)
        return load.run(self.rig.web_port, [[one] * times], 60)


def count_queries(rig: Rig, made: years.Made) -> dict[str, int]:
    """By asking the same app in this process, where its engine can be listened to."""
    before = runtime.swap(None)
    app = create_app(rig.settings)
    statements: list[str] = []

    def note(_: Any, __: Any, statement: str, *rest: Any) -> None:
        statements.append(statement)

    event.listen(runtime.current().database.engine, "before_cursor_execute", note)
    found, client, held = {}, app.test_client(use_cookies=False), cookie(rig, made.token)
    for name, screen in screens(made).items():
        for _ in range(2):
            statements.clear()
            client.get(screen.path, headers={"Cookie": held, **(HTMX if screen.htmx else {})})
        found[name] = sum("set_config" not in statement for statement in statements)
    runtime.current().close()
    runtime.swap(before)
    return found


def run() -> dict[str, Any]:
    keep = years.kept_folder
    with Rig(durable=False, keep=keep(f"small-{SMALL}", KEEP)) as small_rig:
        small = Side(small_rig, years.fill(small_rig, SMALL, per_talk=4))
        with Rig(durable=False, keep=keep(f"large-{LARGE}", KEEP)) as large_rig:
            made = years.fill(large_rig, LARGE, per_talk=10)
            large = Side(large_rig, made)
            queries = count_queries(large_rig, made)
            rows = {name: compare(small, large, name) | {"queries": queries[name]} for name in large.screens}
    ratios = {
        f"{name}: large / small at p99": round(row["large p99 ms"] / row["small p99 ms"], 2)
        for name, row in rows.items()
    }
    ratios["most queries of a screen"] = max(queries.values())
    target = {name: 1.5 for name in ratios if name.endswith("p99")} | {
        "most queries of a screen": MOST_QUERIES
    }
    return {"rows": rows, "ratios": ratios, "target": target, "messages": {"small": SMALL, "large": LARGE}}


def compare(small: Side, large: Side, name: str) -> dict[str, Any]:
    """Each by turns, so that a slow moment of the machine hits both; the medians of the rounds."""
    found: dict[str, list[load.Load]] = {"small": [], "large": []}
    for side in (small, large):
        side.ask(name, 10)
    for _ in range(ROUNDS):
        found["small"].append(small.ask(name, REQUESTS))
        found["large"].append(large.ask(name, REQUESTS))
    row: dict[str, Any] = {}
    for size, loads in found.items():
        row[f"{size} p50 ms"] = statistics.median(one.p50 for one in loads)
        row[f"{size} p99 ms"] = statistics.median(one.p99 for one in loads)
    row["errors"] = sum(one.errors for loads in found.values() for one in loads)
    return row
