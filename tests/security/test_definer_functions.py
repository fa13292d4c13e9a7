"""What runs as the owner of the tables: called by the app's role only, and not to be led astray by it."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.core import tenancy
from tests import factories
from tests.factories import Cast


def test_definer_functions_look_at_temporary_tables_last(session: Session) -> None:
    rows = session.execute(
        text(
            "select proname, proconfig, has_function_privilege('public', oid, 'execute') as anybody from pg_proc "
            "where prosecdef and pronamespace = 'public'::regnamespace"
        )
    ).all()
    assert len(rows) > 5
    for row in rows:
        assert "search_path=pg_catalog, public, pg_temp" in row.proconfig, row.proname
        assert not row.anybody, row.proname


def test_a_temporary_table_does_not_stand_before_ours(cast: Cast) -> None:
    mine = factories.make_contact(cast.account, "Rosa")
    with tenancy.session_for(cast.account.id) as session:
        session.execute(text("create temporary table contacts (like public.contacts) on commit drop"))
        found = session.scalars(text("select contact_id from search_contacts('rosa', 9)")).all()
    assert found == [mine.id]


def test_functions_for_an_agency_give_nothing_of_another(session: Session, cast: Cast) -> None:
    mine = factories.make_contact(cast.account, "Rosa")
    call = text("select contact_id from agency_contacts(:agency, :account, 'rosa', 9)")
    ours = {"agency": cast.agency.id, "account": None}
    assert session.scalars(call, ours).all() == [mine.id]
    theirs = {"agency": cast.other_agency.id, "account": cast.account.id}
    assert session.scalars(call, theirs).all() == []
    health = text("select account_id from account_health(:agency, :ids, now())")
    assert session.scalars(health, {"agency": cast.other_agency.id, "ids": [cast.account.id]}).all() == []
