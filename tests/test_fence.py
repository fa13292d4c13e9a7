"""Row-level security: the database itself keeps accounts apart."""

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from app.core import tenancy
from app.models.base import tenant_tables
from app.models.contact import Contact
from tests import factories
from tests.factories import Cast


def test_every_tenant_table_is_fenced_and_not_owned_by_the_app(session: Session, cast: Cast) -> None:
    rows = session.execute(
        text(
            "select c.relname, c.relrowsecurity, pg_get_userbyid(c.relowner), count(p.polname) "
            "from pg_class c left join pg_policy p on p.polrelid = c.oid "
            "where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace group by 1, 2, 3"
        )
    ).all()
    fenced = {name for name, on, _, policies in rows if on and policies == 1}
    assert set(tenant_tables()) == fenced
    with_account = {
        name
        for (name,) in session.execute(
            text(
                "select table_name from information_schema.columns "
                "where column_name = 'account_id' and table_schema = 'public'"
            )
        )
    }
    # Found by a webhook, a worker or a sign-in before the account is known.
    outside = {
        "audit_entries",
        "connect_links",
        "connections",
        "linked_calendars",
        "mails",
        "memberships",
        "oauth_attempts",
        "outbox",
        "senders",
        "webhook_events",
    }
    assert with_account - fenced == outside
    who = session.scalar(text("select current_user"))
    assert who not in {owner for _, _, owner, _ in rows}
    assert (
        session.scalar(text("select rolsuper or rolbypassrls from pg_roles where rolname = current_user"))
        is False
    )


def test_a_session_sees_only_the_account_it_entered(session: Session, cast: Cast) -> None:
    mine = factories.make_contact(cast.account)
    factories.make_contact(cast.other_account, "Stranger", "+14155550999")
    assert session.scalars(select(Contact)).all() == []
    with tenancy.session_for(cast.account.id) as inside:
        assert [c.id for c in inside.scalars(select(Contact))] == [mine.id]
        inside.commit()
        assert [c.id for c in inside.scalars(select(Contact))] == [mine.id]


def test_a_row_cannot_be_written_into_another_account(cast: Cast) -> None:
    with tenancy.session_for(cast.account.id) as inside:
        inside.add(Contact(account_id=cast.other_account.id, first_name="Smuggled"))
        with pytest.raises(ProgrammingError, match="row-level security"):
            inside.flush()


def test_the_audit_log_cannot_be_changed(session: Session, cast: Cast) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        session.execute(text("update audit_entries set actor = 'nobody'"))
