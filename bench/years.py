"""Years of conversations, made inside Postgres: a hundred accounts, one of which holds half of everything.

Both sizes are alike where screens look: every tab and every search fills its page, and the first conversation is longer than
a page, so that what differs between them is the amount of data and not the number of rows shown. Rows are stored in the order
of time, as they would have come. Foreign keys are not checked while it fills, and indexes are built afterwards.
"""

import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from app.core import tenancy
from app.core.clock import now
from app.core.ids import new_id
from app.models.account import Account
from app.models.agency import Agency
from app.models.connection import Connection, Sender
from app.models.user import LoginSession, Membership, User
from app.stack.postgres import DATABASE
from app.web.identity import hash_token
from bench.rig import NUMBER, Rig

OTHERS = 99
LONG = 60
SLUG = "bench"
# Changes when a kept database does not fit the code any more.
VERSION = 4

_PLACES = """
create unlogged table bench_places as
select a.id as account_id, a.slug, case when a.slug = %(slug)s then %(main)s else %(rest)s end as talks
from accounts a
"""
# Every fiftieth and every tenth of all have marks of their own: as many of them in a small account as in a large one.
_PEOPLE = """
create unlogged table bench_people as
select uuidv7(-age) as contact_id, uuidv7(-age) as talk_id, account_id, n, talks, now() - age as last_at,
       (array['Rosa','Amir','June','Kofi','Lena','Paul','Mina','Theo'])[1 + n %% 8] as first,
       (array['Alvarez','Brandt','Chen','Diallo','Evans','Fischer','Gupta','Haddad','Ito','Jansen','Kowalski'])[1 + n %% 11]
         || case when n %% greatest(1, talks / 10) = 0 then ' Zarkovic' else '' end as last,
       '+1' || (2000000000 + (row_number() over ()))::text as phone,
       array_remove(array[
         case when n %% 5 = 0 then 'vip' end,
         case when n %% 2 = 0 then 'customer' end,
         case when n %% greatest(1, talks / 50) = 0 then 'pilot' end,
         'town ' || n %% 40], null) as tags
from (select account_id, talks, n, (n::float / talks) * interval '3 years' as age
      from bench_places, generate_series(1, talks) n) s
"""
_CONTACTS = """
insert into contacts (id, account_id, first_name, last_name, sort_name, search, tags, last_activity_at, created_at)
select contact_id, account_id, first, last, lower(first || ' ' || last),
       lower(concat_ws(' ', first, last, first, phone, right(phone, 10), array_to_string(tags, ' '))), tags, last_at,
       last_at - interval '90 days'
from bench_people order by last_at
"""
_POINTS = """
insert into contact_points (id, account_id, contact_id, kind, value)
select gen_random_uuid(), account_id, contact_id, 'phone', phone from bench_people order by last_at
"""
_TALKS = """
insert into conversations (id, account_id, contact_id, last_at, last_text, seq, last_direction, last_state, starred, status,
                           snoozed_until, assigned_to, unread_count)
select talk_id, account_id, contact_id, last_at, 'Thank you, see you on Friday then', 100, 'in', null, n %% 6 = 0,
       case when n %% 5 = 0 then 'closed' else 'open' end, case when n %% 5 = 1 then now() + interval '9 days' end,
       case n %% 5 when 2 then %(me)s::uuid when 3 then %(colleague)s::uuid end,
       case when n %% 3 = 0 and n %% 5 > 1 then 1 else 0 end
from bench_people order by last_at
"""
_MESSAGES = """
insert into messages (id, account_id, conversation_id, contact_id, kind, direction, channel, body, state, seq, changed_seq,
                      address, created_at)
select uuidv7(at - now()), account_id, talk_id, contact_id, 'message', case when m %% 2 = 0 then 'in' else 'out' end, 'sms',
       (array['Can I move my visit to Friday?', 'Of course, does ten work for you?', 'Perfect, thank you so much',
              'The boiler makes a strange noise again', 'We will send somebody this afternoon',
              'What does a whitening cost?', 'It starts at ninety dollars'])[1 + (m + n) %% 7]
         || case when (n * 7 + m) %% 22 = 0 then ' invoice' when (n * 7 + m) %% 70 = 3 then ' voucher' else '' end
         || case when m = 1 and n %% greatest(1, talks / 10) = 0 then ' warranty' else '' end || ' #' || n || '-' || m,
       case when m %% 2 = 0 then 'received' else 'delivered' end, m, m, phone, at
from (select *, last_at - (total - m) * interval '31 hours' as at
      from (select *, case when n = 1 then %(long)s else %(each)s end as total from bench_people) p,
           generate_series(1, p.total) m) s
order by at
"""
FILLED = ("contacts", "contact_points", "conversations", "messages")


@dataclass(frozen=True)
class Made:
    """What a bench needs to look at it: the account of the large half, who is signed in, and conversations from the newest on."""

    account_id: Any
    me: Any
    token: str
    talks: list[Any]
    # Of somebody a year back.
    phone: str


def fill(rig: Rig, messages: int, per_talk: int) -> Made:
    """A database with so many messages, or the one that was kept; with a new sign-in either way."""
    note = rig.folder / "years.json"
    wanted = {"version": VERSION, "messages": messages, "per_talk": per_talk}
    if not (note.exists() and json.loads(note.read_text()) == wanted):
        _build(rig, messages, per_talk)
        note.write_text(json.dumps(wanted))
    return _look(rig)


def _build(rig: Rig, messages: int, per_talk: int) -> None:
    me, colleague = _people(accounts=messages > 100_000)
    main = messages // 2 if messages > 100_000 else messages
    values = {
        "slug": SLUG,
        "main": max(1, (main - LONG) // per_talk + 1),
        "rest": max(1, (messages - main) // OTHERS // per_talk),
        "me": me,
        "colleague": colleague,
        "long": LONG,
        "each": per_talk,
    }
    with rig.postgres.connect(DATABASE) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("set maintenance_work_mem = '512MB'")
        connection.execute("set work_mem = '256MB'")
        later = _drop_indexes(connection)
        for statement in (_PLACES, _PEOPLE, _CONTACTS, _POINTS, _TALKS, _MESSAGES):
            connection.execute(statement, values)
        for definition in later:
            connection.execute(definition)
        # Their trigger was off.
        connection.execute(
            "insert into tags (id, account_id, name) select gen_random_uuid(), account_id, tag "
            "from (select distinct account_id, unnest(tags) as tag from contacts) used on conflict do nothing"
        )
        connection.execute("drop table bench_people, bench_places")
        connection.execute("vacuum analyze")


def _drop_indexes(connection: psycopg.Connection) -> list[Any]:
    """Those that belong to no constraint; gives what makes them again."""
    rows = connection.execute(
        "select i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) from pg_index i "
        "where i.indrelid = any (%s::regclass[]) and not exists "
        "(select from pg_constraint c where c.conindid = i.indexrelid)",
        [list(FILLED)],
    ).fetchall()
    for name, _ in rows:
        connection.execute(f'drop index "{name}"'.encode())
    return [definition.encode() for _, definition in rows]


def _people(*, accounts: bool) -> tuple[Any, Any]:
    with tenancy.session_for() as session:
        agency = Agency(name="Bench")
        session.add(agency)
        session.flush()
        account = Account(agency_id=agency.id, slug=SLUG, name="Bench")
        others = [
            Account(agency_id=agency.id, slug=f"other-{n}", name=f"Other {n}")
            for n in range(OTHERS if accounts else 0)
        ]
        me = User(agency_id=agency.id, email="owner@bench.test", name="Olga Owner", agency_role="owner")
        colleague = User(agency_id=agency.id, email="staff@bench.test", name="Stan Staff")
        session.add_all([account, *others, me, colleague])
        session.flush()
        session.add(Membership(user_id=colleague.id, account_id=account.id, role="staff"))
        connection = Connection(account_id=account.id, provider="twilio", external_ref="AC", credentials=b"-")
        session.add(connection)
        session.flush()
        session.add(
            Sender(
                account_id=account.id,
                connection_id=connection.id,
                channel="sms",
                address=NUMBER,
                is_default=True,
            )
        )
        session.commit()
        return me.id, colleague.id


def _look(rig: Rig) -> Made:
    account = rig.owner("select id from accounts where slug = :slug", slug=SLUG)[0][0]
    talks = rig.owner(
        "select id from conversations where account_id = :account order by last_at desc limit 50",
        account=account,
    )
    me = rig.owner("select id from users where email = 'owner@bench.test'")[0][0]
    phone = rig.owner(
        "select p.value from contact_points p join contacts c on c.id = p.contact_id where p.account_id = :account "
        "and c.last_activity_at < now() - interval '1 year' order by c.last_activity_at desc limit 1",
        account=account,
    )[0][0]
    return Made(account, me, sign_in([me])[0], [row[0] for row in talks], phone)


def sign_in(user_ids: list[Any]) -> list[str]:
    """A browser for each; gives their tokens."""
    tokens = [secrets.token_urlsafe(16) for _ in user_ids]
    with tenancy.session_for() as session:
        session.add_all(
            LoginSession(
                id=new_id(),
                user_id=user_id,
                token_hash=hash_token(token),
                expires_at=now() + timedelta(days=1),
            )
            for user_id, token in zip(user_ids, tokens, strict=True)
        )
        session.commit()
    return tokens


def kept_folder(name: str, keep: str) -> Path | None:
    return Path(keep) / name if keep else None
