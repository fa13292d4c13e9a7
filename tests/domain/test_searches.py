"""What the searches and the list of tags promise, whatever the size: see the functions of migration 0017."""

import threading
import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import create_engine, text, update
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from app.core import tenancy
from app.core.clock import now
from app.core.ids import first_id_of
from app.domain import contact_list, contact_tags, contacts, inbox
from app.models.contact import Contact
from app.models.conversation import Conversation
from app.models.message import Message
from app.stack.postgres import EmbeddedPostgres
from app.stack.redis import EmbeddedRedis
from tests.factories import Cast, make_contact
from tests.web.inbox_rows import messages_of, talk


@pytest.fixture
def inside(app: Flask, cast: Cast) -> Iterator[Session]:
    with tenancy.session_for(cast.account.id) as session:
        yield session


def found(session: Session, words: str) -> list[uuid.UUID]:
    return [row.conversation.id for row in inbox.rows_of(session, "all", uuid.uuid4(), search=words).rows]


def said_days_ago(cast: Cast, days: int, text: str) -> Conversation:
    made = talk(cast.account, f"Person {days}", f"+1415555{days:04}", text, now() - timedelta(days=days))
    first = first_id_of(now() - timedelta(days=days))
    with tenancy.session_for(cast.account.id) as session:
        mine = messages_of(cast.account, made)[0].id
        session.execute(
            update(Message)
            .where(Message.id == mine)
            .values(id=uuid.UUID(int=first.int + made.id.int % 2**64))
        )
        session.execute(update(Conversation).values(last_at=made.last_at).where(Conversation.id == made.id))
        session.commit()
    return made


def test_a_word_is_found_through_all_the_years(cast: Cast, inside: Session) -> None:
    talks = [said_days_ago(cast, days, f"The voucher of {days}") for days in (1, 90, 400, 2000)]
    assert found(inside, "voucher") == [one.id for one in talks]
    assert found(inside, "VOUCHER OF 2000") == [talks[-1].id]
    assert found(inside, "ou") == [one.id for one in talks]
    assert found(inside, "100%") == found(inside, "v_ucher") == []


def test_a_number_is_found_through_all_the_years_in_this_account_only(cast: Cast, inside: Session) -> None:
    talks = [said_days_ago(cast, days, f"Call 415 555 7788 or order 900{days:04}") for days in (1, 90, 2000)]
    talk(cast.other_account, "Somebody", "+14155550003", "Call 415 555 7788 or order 9002000")
    assert found(inside, "415 555 7788") == [one.id for one in talks]
    assert found(inside, "9002000") == [talks[-1].id]
    assert found(inside, "9002001") == []


def test_the_newest_hits_come_first_when_there_are_too_many(
    cast: Cast, inside: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MAX_HITS", 2)
    talks = [said_days_ago(cast, days, "Here is the voucher") for days in (1, 2, 400)]
    assert found(inside, "voucher") == [one.id for one in talks[:2]]


def test_a_search_finds_people_and_texts_of_this_account_only(cast: Cast, inside: Session) -> None:
    named = talk(cast.account, "Rosa Voucher", "+14155550001", "Hello")
    wrote = talk(cast.account, "Amir Haddad", "+14155550002", "The voucher please")
    talk(cast.other_account, "Voucher Too", "+14155550003", "My voucher")
    make_contact(cast.other_account, "Voucher", "+14155550004", tags=["theirs"])
    assert set(found(inside, "voucher")) == {named.id, wrote.id}
    assert contact_list.page(inside, text="voucher too").contacts == []
    assert contact_list.page(inside, tag="theirs").contacts == []
    assert contact_tags.of_account(inside) == []


def test_quotes_are_letters_like_others(cast: Cast, inside: Session) -> None:
    made = contacts.create(inside, cast.account, first_name="O'Neil", tags=["it's \\ 'new'"])
    inside.commit()
    for asked in ({"text": "o'n"}, {"tag": "it's \\ 'new'"}):
        assert [one.id for one in contact_list.page(inside, **asked).contacts] == [made.id]
    assert contact_list.page(inside, text="'; select 1 --", tag="'||'").contacts == []


def test_a_tag_is_listed_as_long_as_a_living_contact_has_it(cast: Cast, inside: Session) -> None:
    rosa = contacts.create(inside, cast.account, first_name="Rosa", tags=["VIP", "Gold"])
    amir = contacts.create(inside, cast.account, first_name="Amir", tags=["VIP"])
    inside.commit()
    assert contact_tags.of_account(inside) == ["Gold", "VIP"]
    contact_tags.remove(inside, [amir], "VIP")
    assert contact_tags.of_account(inside) == ["Gold", "VIP"]
    actor = cast.actor(cast.ana)
    contacts.delete(inside, actor, [rosa])
    inside.flush()
    assert contact_tags.of_account(inside) == []
    contacts.restore(inside, actor, [rosa.id])
    inside.flush()
    assert contact_tags.of_account(inside) == ["Gold", "VIP"]
    inside.delete(rosa)
    inside.flush()
    assert contact_tags.of_account(inside) == []


def retag(cast: Cast, contact_id: uuid.UUID, tags: list[str], wait: threading.Event | None = None) -> None:
    with tenancy.session_for(cast.account.id) as session:
        session.execute(update(Contact).where(Contact.id == contact_id).values(tags=tags))
        if wait is not None:
            wait.wait(5)
        session.commit()


@pytest.mark.parametrize("giver_is_first", [True, False])
def test_giving_a_tag_while_the_last_one_loses_it(cast: Cast, inside: Session, giver_is_first: bool) -> None:
    """The second waits for the first or sees its row gone; in both orders the tag is listed in the end."""
    rosa = make_contact(cast.account, "Rosa", "+14155550001", tags=["VIP"])
    amir = make_contact(cast.account, "Amir", "+14155550002")
    orders: list[tuple[uuid.UUID, list[str]]] = [(amir.id, ["VIP"]), (rosa.id, [])]
    first, second = orders if giver_is_first else orders[::-1]
    go = threading.Event()
    threads = [
        threading.Thread(target=retag, args=(cast, *first, go)),
        threading.Thread(target=retag, args=(cast, *second)),
    ]
    threads[0].start()
    threads[1].start()
    threads[1].join(0.3)
    go.set()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    assert contact_tags.of_account(inside) == ["VIP"]


def test_a_number_that_stands_in_every_text_costs_no_more_than_is_shown(
    cast: Cast, inside: Session, servers: tuple[EmbeddedPostgres, EmbeddedRedis]
) -> None:
    """A business's own number, at the end of all it writes for eight years."""
    said_days_ago(cast, 1, "Questions? Call 415 555 7788")
    inside.execute(
        text("""
            insert into messages select (jsonb_populate_record(m, jsonb_build_object(
                'id', left(h, 8) || '-' || substr(h, 9, 4) || '-7' || substr(h, 14, 3) || '-8' || substr(h, 18, 3)
                      || '-' || substr(h, 21, 12), 'seq', 1000 + n, 'changed_seq', 1000 + n,
                'client_key', null, 'provider_ref', null))).*
            from messages m, (select n, lpad(to_hex(1500000000000 + n::bigint * 60000000), 12, '0') || md5(n::text) as h
                              from generate_series(1, 4000) n) made
        """)
    )
    inside.commit()
    owner = create_engine(servers[0].owner_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with owner.connect() as connection:
        connection.execute(text("vacuum (analyze) messages"))
    before = _read_so_far(inside)
    rows = inside.execute(text("select message_id from search_messages('415 555 7788', 20)")).scalars().all()
    assert len(rows) == 20 and rows == sorted(rows, reverse=True)
    assert _read_so_far(inside) - before < 1000
    whole = (
        inside.execute(text("select message_id from search_messages('415 555 7788', 9999)")).scalars().all()
    )
    assert len(whole) == len(set(whole)) == 4001 and whole == sorted(whole, reverse=True)
    # Common now, and seldom before: the newest are walked, the rest is looked up, and none comes twice.
    inside.execute(
        text("update messages set body = 'Other words' where id = any (:ids)"), {"ids": whole[600:-100]}
    )
    for words in ("415 555 7788", "questions"):
        rows = inside.execute(text("select message_id from search_messages(:words, 3000)"), {"words": words})
        assert rows.scalars().all() == [*whole[:600], *whole[-100:]]


def _read_so_far(session: Session) -> int:
    """Rows of messages that this transaction has looked at."""
    return int(
        session.scalar(
            text(
                "select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables where relname = 'messages'"
            )
        )
        or 0
    )
