"""The screens people look at all day, with little and with years of data, through the same server.

BENCH_MESSAGES sets the large size (default 200,000; 1,000,000 for the full picture). One account holds half of everything,
the rest is spread over 99 others. Target: at most 1.5 times the small size at p99.
"""

import os
import secrets
from datetime import timedelta
from typing import Any

from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import URLSafeTimedSerializer

from app.core import tenancy
from app.core.clock import now
from app.models.account import Account
from app.models.agency import Agency
from app.models.user import LoginSession, User
from app.web.identity import TOKEN as COOKIE_KEY
from app.web.identity import hash_token
from bench import load
from bench.rig import Rig

SMALL = 1_000
LARGE = int(os.environ.get("BENCH_MESSAGES", "200000"))
PER_CONVERSATION = 10
REQUESTS = 300

_FILL = """
insert into accounts (id, agency_id, slug, name)
select gen_random_uuid(), :agency, 'other-' || n, 'Other ' || n from generate_series(1, :others) n;
"""
_CONTACTS = """
insert into contacts (id, account_id, first_name, last_name, sort_name, search, last_activity_at, created_at)
select gen_random_uuid(), :account, f, l, lower(l || ' ' || f), lower(f || ' ' || l || ' +1303' || lpad(n::text, 7, '0')),
       now() - n * interval '7 minutes', now() - n * interval '9 minutes'
from (select n, (array['Rosa','Amir','June','Kofi','Lena','Paul','Mina','Theo'])[1 + n % 8] f,
             (array['Alvarez','Brandt','Chen','Diallo','Evans','Fischer','Gupta'])[1 + n % 7] || n l
      from generate_series(1, :count) n) s
"""
_POINTS = """
insert into contact_points (id, account_id, contact_id, kind, value)
select gen_random_uuid(), account_id, id, 'phone', '+1303' || right(search, 7) from contacts where account_id = :account
"""
_TALKS = """
insert into conversations (id, account_id, contact_id, last_at, last_text, seq, unread_count, last_direction, starred)
select gen_random_uuid(), account_id, id, last_activity_at, 'See you on Friday then', 10,
       case when random() < 0.01 then 1 else 0 end, 'in', random() < 0.02
from contacts where account_id = :account
"""
_MESSAGES = """
insert into messages (id, account_id, conversation_id, contact_id, kind, direction, channel, body, state, seq, changed_seq,
                      created_at)
select gen_random_uuid(), c.account_id, c.id, c.contact_id, 'message', case when n % 2 = 0 then 'in' else 'out' end, 'sms',
       (array['Can I move my visit to Friday?', 'Of course, does ten work for you?', 'Perfect, thank you so much',
              'The boiler makes a strange noise again', 'We will send somebody this afternoon',
              'What does a whitening cost?', 'It starts at ninety dollars'])[1 + (random() * 6)::int] || ' #' || n,
       case when n % 2 = 0 then 'received' else 'delivered' end, n, n, c.last_at - (:each - n) * interval '3 minutes'
from conversations c, generate_series(1, :each) n where c.account_id = :account
"""


def fill(rig: Rig, account_id: Any, messages: int) -> None:
    count = max(1, messages // PER_CONVERSATION)
    rig.owner(_CONTACTS, account=account_id, count=count)
    rig.owner(_POINTS, account=account_id)
    rig.owner(_TALKS, account=account_id)
    rig.owner(_MESSAGES, account=account_id, each=PER_CONVERSATION)


def build(rig: Rig) -> tuple[str, dict[str, Any]]:
    """Two agencies worth of accounts: `small` with a thousand messages, `large` with half of all. Gives the cookie."""
    with tenancy.session_for() as session:
        agency = Agency(name="Bench")
        session.add(agency)
        session.flush()
        accounts = {
            slug: Account(agency_id=agency.id, slug=slug, name=slug.title()) for slug in ("small", "large")
        }
        user = User(agency_id=agency.id, email="owner@bench.test", name="Bench Owner", agency_role="owner")
        session.add_all([*accounts.values(), user])
        session.flush()
        token = secrets.token_urlsafe(16)
        session.add(
            LoginSession(user_id=user.id, token_hash=hash_token(token), expires_at=now() + timedelta(days=1))
        )
        session.commit()
    rig.owner(_FILL, agency=agency.id, others=99)
    fill(rig, accounts["small"].id, SMALL)
    fill(rig, accounts["large"].id, LARGE // 2)
    for row in rig.owner("select id from accounts where slug like 'other-%'"):
        fill(rig, row[0], LARGE // 2 // 99)
    rig.owner("analyze")
    return _cookie(rig, token), accounts


def _cookie(rig: Rig, token: str) -> str:
    app = Flask("bench")
    app.secret_key = rig.settings.secret_key
    serializer: URLSafeTimedSerializer | None = SecureCookieSessionInterface().get_signing_serializer(app)
    assert serializer is not None
    return f"levelhead={serializer.dumps({COOKIE_KEY: token, '_permanent': True})}"


def screens(rig: Rig, slug: str, account_id: Any) -> dict[str, str]:
    talk = rig.owner(
        "select id from conversations where account_id = :account order by last_at desc limit 1",
        account=account_id,
    )[0][0]
    return {
        "inbox": f"/a/{slug}/inbox?tab=all",
        "inbox, unread": f"/a/{slug}/inbox?tab=unread",
        "thread": f"/a/{slug}/inbox/c/{talk}",
        "search, rare": f"/a/{slug}/inbox?tab=all&q=alvarez7",
        "search, common": f"/a/{slug}/inbox?tab=all&q=friday",
        "contacts": f"/a/{slug}/contacts",
        "contacts, search": f"/a/{slug}/contacts?q=brandt",
    }


def run() -> dict[str, Any]:
    rows: dict[str, dict[str, Any]] = {}
    ratios: dict[str, float] = {}
    with Rig(durable=False) as rig:
        rig.start_simulator()
        cookie, accounts = build(rig)
        rig.start_web()
        paths = {slug: screens(rig, slug, account.id) for slug, account in accounts.items()}
        for name in paths["small"]:
            found = {slug: measure(rig, paths[slug][name], cookie) for slug in paths}
            small, large = found["small"], found["large"]
            rows[name] = {
                "small p50 ms": small.p50,
                "small p99 ms": small.p99,
                "large p50 ms": large.p50,
                "large p99 ms": large.p99,
                "errors": small.errors + large.errors,
            }
            ratios[f"{name}: large / small at p50"] = round(large.p50 / small.p50, 2)
            ratios[f"{name}: large / small at p99"] = round(large.p99 / small.p99, 2)
    target = {name: 1.5 for name in ratios if name.endswith("p99")}
    return {"rows": rows, "ratios": ratios, "target": target, "messages": {"small": SMALL, "large": LARGE}}


def measure(rig: Rig, path: str, cookie: str) -> load.Load:
    one = load.http_request(
        "GET", path.replace(" ", "%20"), f"127.0.0.1:{rig.web_port}", headers={"Cookie": cookie}
    )
    load.run(rig.web_port, [[one] * 20], 20)
    return load.run(rig.web_port, [[one] * REQUESTS], 60)
