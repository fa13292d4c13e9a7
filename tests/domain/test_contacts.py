"""Contacts below the pages: uniqueness and spellings of numbers, search, paging, deletion, the person behind a number."""

import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.core import tenancy
from app.core.clock import now
from app.core.errors import Invalid, NotFound
from app.core.folding import fold
from app.domain import (
    consent,
    contact_list,
    contact_points,
    contact_tags,
    contacts,
    conversations,
    custom_fields,
)
from app.domain.sending import queue
from app.models.audit import AuditEntry
from app.models.connection import Connection, Sender
from app.models.contact import Contact
from app.models.message import Message
from app.models.outbox import OutboxEntry
from tests.factories import Cast, make_account


@pytest.fixture
def inside(cast: Cast) -> Iterator[Session]:
    with tenancy.session_for(cast.account.id) as session:
        yield session


def names(found: list[Contact]) -> list[str]:
    return [contact.first_name for contact in found]


def search(session: Session, text: str) -> list[str]:
    return sorted(names(contact_list.find(session, text, limit=50)))


def test_a_new_contact_holds_what_was_typed(inside: Session, cast: Cast) -> None:
    custom_fields.create(inside, cast.actor(cast.ana), label="Dentist since", kind="date")
    made = contacts.create(
        inside,
        cast.account,
        first_name=" José ",
        last_name="García\u0000",
        phones=["(415) 555-0101", "+44 20 7946 0958"],
        emails=["Jose@Example.com"],
        tags=["VIP", "vip", "new patient"],
        custom={"dentist_since": "2026-03-14"},
        owner_id=cast.cleo.id,
        notes="line one\r\nline two",
    )
    inside.commit()
    found = contacts.get(inside, made.id)
    assert found.name == "José García"
    assert [point.value for point in found.points] == ["+14155550101", "+442079460958", "jose@example.com"]
    assert found.tags == ["VIP", "new patient"]
    assert found.custom == {"dentist_since": "2026-03-14"}
    assert found.owner_id == cast.cleo.id
    assert found.notes == "line one\nline two"
    assert found.sort_name == "jose garcia"


def test_every_mistake_is_named_at_once(inside: Session, cast: Cast) -> None:
    custom_fields.create(inside, cast.actor(cast.ana), label="Visits", kind="number")
    with pytest.raises(Invalid) as caught:
        contacts.create(
            inside,
            cast.account,
            first_name="x" * 101,
            phones=["12"],
            emails=["nobody"],
            tags=["t" * 41],
            custom={"visits": "many"},
            owner_id=cast.dan.id,
        )
    assert set(caught.value.fields) == {"first_name", "phone", "email", "tags", "custom.visits", "owner_id"}
    with pytest.raises(Invalid):
        contacts.create(inside, cast.account, notes="nobody at all")
    assert inside.scalars(select(Contact)).all() == []


def test_a_number_belongs_to_one_contact_of_an_account(inside: Session, cast: Cast) -> None:
    rosa = contacts.create(inside, cast.account, first_name="Rosa", phones=["+14155550101"])
    with pytest.raises(contact_points.Taken) as caught:
        contacts.create(inside, cast.account, first_name="Rosa again", phones=["415 555 0101"])
    assert caught.value.holder.contact_id == rosa.id
    assert "Rosa" in caught.value.fields["phone"]
    other = contacts.create(inside, cast.account, first_name="Other")
    with pytest.raises(contact_points.Taken):
        contact_points.add(inside, other, "phone", "+1 415 555 0101", "US")
    with pytest.raises(Invalid, match="already"):
        contact_points.add(inside, rosa, "phone", "+1 415 555 0101", "US")
    inside.commit()
    with tenancy.session_for(cast.other_account.id) as elsewhere:
        contacts.create(elsewhere, cast.other_account, first_name="Theirs", phones=["+14155550101"])
        elsewhere.commit()


@pytest.mark.parametrize(
    ("stored", "arrives"),
    [
        ("+5215512345678", "+525512345678"),
        ("+525512345678", "+5215512345678"),
        ("+5491123456789", "+541123456789"),
        ("+5511987654321", "+551187654321"),
    ],
)
def test_one_line_in_two_spellings_is_one_contact(
    inside: Session, cast: Cast, stored: str, arrives: str
) -> None:
    first = contacts.find_or_create_by_phone(inside, cast.account.id, stored, name="Ana María López")
    again = contacts.find_or_create_by_phone(inside, cast.account.id, arrives)
    assert again.id == first.id
    assert (first.first_name, first.last_name) == ("Ana", "María López")
    assert [point.value for point in again.points] == [stored]
    with pytest.raises(contact_points.Taken):
        contact_points.check_free(inside, "phone", arrives)


def test_a_deleted_contact_is_hidden_and_comes_back_by_undo_or_by_writing(
    inside: Session, cast: Cast
) -> None:
    actor = cast.actor(cast.cleo)
    rosa = contacts.create(inside, cast.account, first_name="Rosa", phones=["+14155550101"])
    contacts.delete(inside, actor, [rosa])
    inside.commit()
    with pytest.raises(NotFound):
        contacts.get(inside, rosa.id)
    assert search(inside, "rosa") == []
    assert contact_list.page(inside).contacts == []
    with pytest.raises(contact_points.Taken) as caught:
        contacts.create(inside, cast.account, first_name="New", phones=["+14155550101"])
    assert caught.value.holder.is_deleted
    assert names(contacts.restore(inside, actor, [rosa.id])) == ["Rosa"]
    assert contacts.restore(inside, actor, [rosa.id]) == []
    inside.commit()
    assert search(inside, "rosa") == ["Rosa"]
    contacts.delete(inside, actor, [contacts.get(inside, rosa.id)])
    inside.commit()
    back = contacts.find_or_create_by_phone(inside, cast.account.id, "+14155550101")
    inside.commit()
    assert back.id == rosa.id
    assert search(inside, "rosa") == ["Rosa"]
    actions = inside.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert actions == ["contact.deleted", "contact.restored"] * 2


def test_after_thirty_days_a_deleted_contact_is_gone_but_not_its_consent(inside: Session, cast: Cast) -> None:
    rosa = contacts.create(inside, cast.account, first_name="Rosa", phones=["+14155550101"])
    young = contacts.create(inside, cast.account, first_name="Young", phones=["+14155550102"])
    conversation = conversations.for_contact(inside, rosa)
    conversations.add_comment(inside, conversation, "Rude", None)
    consent.record(
        inside, address="+14155550101", state="opted_out", source="keyword", wording="STOP", at=now()
    )
    contacts.delete(inside, cast.actor(cast.ana), [rosa, young])
    rosa.deleted_at = now() - timedelta(days=31)
    inside.commit()
    assert contacts.purge_deleted(inside) == []
    inside.commit()
    assert inside.scalars(select(Contact.id)).all() == [young.id]
    assert inside.scalars(select(Message)).all() == []
    again = contacts.create(inside, cast.account, first_name="Rosa", phones=["+14155550101"])
    assert again.points[0].consent == "opted_out"


def test_a_text_that_waits_is_canceled_with_its_contact(
    inside: Session, cast: Cast, session: Session
) -> None:
    rosa = contacts.create(inside, cast.account, first_name="Rosa", phones=["+14155550101"])
    connection = Connection(
        account_id=cast.account.id, provider="twilio", external_ref="AC1", credentials=b"none"
    )
    inside.add(connection)
    inside.flush()
    sender = Sender(
        account_id=cast.account.id, connection_id=connection.id, channel="sms", address="+14155550000"
    )
    inside.add(sender)
    inside.commit()
    message = queue.queue_text(
        inside,
        cast.account,
        conversations.for_contact(inside, rosa),
        to="+14155550101",
        body="See you tomorrow",
        sender=sender,
        author_id=cast.cleo.id,
        send_at=now() + timedelta(days=1),
    )
    inside.commit()
    assert message.state == "scheduled"
    contacts.delete(inside, cast.actor(cast.cleo), [contacts.get(inside, rosa.id)])
    inside.commit()
    inside.refresh(message)
    assert message.state == "canceled"
    assert inside.scalars(select(OutboxEntry)).all() == []


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("jose", ["José"]),
        ("JOSÉ GARCÍA", ["José"]),
        ("garcía josé", ["José"]),
        ("garc jos", ["José"]),
        ("acme", ["José"]),
        ("100%", ["100% Wool"]),
        ("%", ["100% Wool"]),
        ("_", ["under_score"]),
        ("\\", []),
        ("0101", ["José"]),
        ("(415) 555", ["José"]),
        ("+1 415-555-0101", ["José"]),
        ("020 7946", ["100% Wool"]),
        ("0044 20 7946", ["100% Wool"]),
        ("mail.example", ["José"]),
        ("stammkunde", ["under_score"]),
        ("straße", ["under_score"]),
        ("nobody", []),
        ("a\u0000", ["100% Wool", "José", "under_score"]),
    ],
)
def test_search(inside: Session, cast: Cast, typed: str, found: list[str]) -> None:
    contacts.create(
        inside,
        cast.account,
        first_name="José",
        last_name="García",
        company="Acme",
        phones=["+14155550101"],
        emails=["j@mail.example"],
    )
    contacts.create(inside, cast.account, first_name="100% Wool", company="Loan", phones=["+442079460958"])
    contacts.create(inside, cast.account, first_name="under_score", company="STRASSE", tags=["Stammkunde"])
    with tenancy.session_for(cast.other_account.id) as elsewhere:
        contacts.create(
            elsewhere, cast.other_account, first_name="José", company="Acme a", phones=["+14155550101"]
        )
        elsewhere.commit()
    inside.commit()
    assert search(inside, typed) == found


def test_search_follows_every_change(inside: Session, cast: Cast) -> None:
    rosa = contacts.create(inside, cast.account, first_name="Rosa")
    contacts.set_field(inside, cast.account, rosa, "company", "Blume")
    point = contact_points.add(inside, rosa, "email", "rosa@blume.test", "US")
    contact_tags.add(inside, [rosa], "Gold")
    assert search(inside, "blume") == search(inside, "gold") == search(inside, "rosa@") == ["Rosa"]
    contact_points.remove(inside, rosa, point)
    contact_tags.remove(inside, [rosa], "gold")
    assert search(inside, "gold") == search(inside, "rosa@") == []


@pytest.mark.parametrize(
    "asked", [{}, {"text": "twin"}, {"tag": "of two"}, {"text": "twin", "tag": "of two"}]
)
@pytest.mark.parametrize("sort", list(contact_list.SORTS))
def test_pages_have_no_holes_and_no_repeats_in_both_directions(
    inside: Session, cast: Cast, sort: str, asked: dict[str, str]
) -> None:
    contacts.create(inside, cast.account, first_name="Single", tags=["of one"])
    for number in range(23):
        made = contacts.create(inside, cast.account, first_name=f"Twin {number % 4}", tags=["of two"])
        made.last_activity_at = now() - timedelta(hours=number % 5)
    inside.commit()
    forwards: list[uuid.UUID] = []
    pages = []
    after = ""
    while True:
        page = contact_list.page(inside, sort=sort, after=after, size=5, **asked)
        pages.append([one.id for one in page.contacts])
        forwards += pages[-1]
        if not page.older:
            break
        after = page.older
    assert len(forwards) == len(set(forwards)) == 23 + (not asked)
    assert not contact_list.page(inside, sort=sort, size=5, **asked).newer
    backwards = [pages[-1]]
    while page.newer:
        page = contact_list.page(inside, sort=sort, before=page.newer, size=5, **asked)
        backwards.insert(0, [one.id for one in page.contacts])
    assert backwards == pages


@pytest.mark.parametrize("cursor", ["x", "%%%", "AAAA", "ÿÿ", "a" * 500, "\0"])
def test_a_nonsense_cursor_gives_the_first_page(inside: Session, cast: Cast, cursor: str) -> None:
    contacts.create(inside, cast.account, first_name="Rosa")
    for sort in contact_list.SORTS:
        assert len(contact_list.page(inside, sort=sort, after=cursor).contacts) == 1
        assert len(contact_list.page(inside, sort=sort, before=cursor).contacts) == 1


def test_people_without_a_name_come_last(inside: Session, cast: Cast) -> None:
    contacts.find_or_create_by_phone(inside, cast.account.id, "+14155550101")
    contacts.create(inside, cast.account, first_name="Žofia")
    contacts.create(inside, cast.account, first_name="Adam")
    assert names(list(contact_list.page(inside, sort="name").contacts)) == ["Adam", "Žofia", ""]


def test_a_field_is_refused_without_touching_the_rest(inside: Session, cast: Cast) -> None:
    field = custom_fields.create(
        inside, cast.actor(cast.ana), label="Size", kind="choice", options=["S", "M", "m ", "L"]
    )
    assert field.options == ["S", "M", "L"]
    rosa = contacts.create(inside, cast.account, first_name="Rosa", custom={"size": "M"})
    for key, typed in (("custom.size", "XXL"), ("first_name", ""), ("company", "c" * 151), ("owner_id", "x")):
        with pytest.raises(Invalid) as caught:
            contacts.set_field(inside, cast.account, rosa, key, typed)
        assert list(caught.value.fields) == [key]
    for key in ("account_id", "deleted_at", "custom.none", "search", "tags"):
        with pytest.raises(NotFound):
            contacts.set_field(inside, cast.account, rosa, key, "x")
    assert (rosa.first_name, rosa.custom) == ("Rosa", {"size": "M"})
    custom_fields.change(inside, cast.actor(cast.ana), field, label="Size", options=["S"])
    contacts.set_field(inside, cast.account, rosa, "custom.size", "M")
    contacts.set_field(inside, cast.account, rosa, "custom.size", "")
    assert rosa.custom == {}


def test_values_are_read_by_their_kind(inside: Session, cast: Cast) -> None:
    made = {
        kind: custom_fields.create(inside, cast.actor(cast.ana), label=kind, kind=kind, options=["a"])
        for kind in custom_fields.KINDS
    }
    good = {"text": "x\ny", "number": "3.5", "date": "2026-02-28", "choice": "a", "yes_no": "no"}
    for kind, typed in good.items():
        value = custom_fields.read_value(made[kind], typed)
        assert custom_fields.show_value(made[kind], value) == typed
        assert custom_fields.read_value(made[kind], "  ") is None
    bad = {"text": "x" * 2001, "number": "nan", "date": "2026-02-30", "choice": "b", "yes_no": "maybe"}
    for kind, typed in bad.items():
        with pytest.raises(ValueError, match=r"\w"):
            custom_fields.read_value(made[kind], typed)


def test_deleting_a_custom_field_takes_its_values(inside: Session, cast: Cast) -> None:
    actor = cast.actor(cast.ana)
    field = custom_fields.create(inside, actor, label="Größe", kind="text")
    twin = custom_fields.create(inside, actor, label="Größe!", kind="text")
    assert (field.key, twin.key) == ("grosse", "grosse_2")
    with pytest.raises(Invalid, match="already"):
        custom_fields.create(inside, actor, label="GRÖSSE", kind="text")
    rosa = contacts.create(inside, cast.account, first_name="Rosa", custom={"grosse": "1", "grosse_2": "2"})
    inside.commit()
    assert custom_fields.used_by(inside) == {"grosse": 1, "grosse_2": 1}
    custom_fields.move(inside, twin, -1)
    inside.flush()
    assert [one.key for one in custom_fields.of_account(inside)] == ["grosse_2", "grosse"]
    custom_fields.delete(inside, actor, field)
    inside.commit()
    inside.refresh(rosa)
    assert rosa.custom == {"grosse_2": "2"}


def test_phones_keep_their_order_and_consent_follows_the_number(inside: Session, cast: Cast) -> None:
    rosa = contacts.create(inside, cast.account, first_name="Rosa", phones=["+14155550101", "+14155550102"])
    consent.record(
        inside, address="+14155550101", state="opted_out", source="keyword", wording="STOP", at=now()
    )
    inside.commit()
    contact_points.move(inside, rosa, rosa.points[1], -1)
    assert [point.value[-1] for point in rosa.points] == ["2", "1"]
    contact_points.change(inside, rosa, rosa.points[1], "+14155550103", "US")
    assert rosa.points[1].consent == "unknown"
    contact_points.change(inside, rosa, rosa.points[1], "+14155550101", "US")
    inside.commit()
    fresh = contacts.get(inside, rosa.id, lock=True)
    assert [(point.value[-1], point.consent) for point in fresh.points] == [
        ("2", "unknown"),
        ("1", "opted_out"),
    ]


def test_a_nameless_contact_keeps_its_only_number(inside: Session, cast: Cast) -> None:
    unknown = contacts.find_or_create_by_phone(inside, cast.account.id, "+14155550101")
    with pytest.raises(Invalid, match="name"):
        contact_points.remove(inside, unknown, unknown.points[0])


def test_two_who_store_one_number_at_once(inside: Session, cast: Cast) -> None:
    """The check passes for both; the unique key lets one through and the other is told whose it is."""
    rosa = contacts.create(inside, cast.account, first_name="Rosa")
    other = contacts.create(inside, cast.account, first_name="Other")
    inside.commit()
    contact_points.attach(inside, rosa, "phone", "+14155550101")
    with pytest.raises(contact_points.Taken):
        contact_points.attach(inside, other, "phone", "+14155550101")


def test_tags_are_spelt_as_the_account_spells_them(inside: Session, cast: Cast) -> None:
    rosa = contacts.create(inside, cast.account, first_name="Rosa", tags=["VIP"])
    other = contacts.create(inside, cast.account, first_name="Other", tags=["vip", "Été"])
    assert other.tags == ["VIP", "Été"]
    assert contact_tags.add(inside, [rosa, other], "ete") == "Été"
    assert rosa.tags == ["VIP", "Été"]
    assert contact_tags.of_account(inside) == ["Été", "VIP"]
    assert contact_tags.remove(inside, [rosa, other], "vip") == 2
    assert len(contact_list.page(inside, tag="Été").contacts) == 2
    with pytest.raises(Invalid):
        contact_tags.add(inside, [rosa], " , ")


def test_ids_of_another_account_are_nobody(inside: Session, cast: Cast, session: Session) -> None:
    with tenancy.session_for(cast.other_account.id) as elsewhere:
        theirs = contacts.create(elsewhere, cast.other_account, first_name="Theirs")
        elsewhere.commit()
    assert contacts.chosen(inside, [theirs.id]) == []
    with pytest.raises(NotFound):
        contacts.get(inside, theirs.id)
    inside.execute(update(Contact).where(Contact.id == theirs.id).values(deleted_at=now()))
    assert contacts.restore(inside, cast.actor(cast.ana), [theirs.id]) == []


def test_country_of_the_account_reads_national_numbers(session: Session, cast: Cast) -> None:
    berlin = make_account(session, cast.agency, "zahnarzt", country="DE")
    session.commit()
    with tenancy.session_for(berlin.id) as inside:
        made = contacts.create(inside, berlin, first_name="Uwe", phones=["030 901820"])
        assert made.points[0].value == "+4930901820"
        inside.commit()
        assert search(inside, "030 9018") == ["Uwe"]


def test_fold() -> None:
    assert fold("  Ärger\tŁódź İstanbul ﬁn ") == "arger łodz istanbul fin"
