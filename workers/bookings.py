"""Holds that ran out, and places for those who wait: small deeds, each in its account and in a transaction of its own."""

import structlog
from sqlalchemy import text

from app.core import bells, jobs, runtime, tenancy
from app.core.clock import now
from app.core.ids import parse_id
from app.domain.booking import holds, waitlist_offers
from app.models.account import Account
from workers import stopping

log = structlog.get_logger()

BATCH = 200


def end_holds() -> None:
    bells.take_down(runtime.current().redis, jobs.END_HOLDS.function, ())
    with tenancy.session_for() as session:
        due = session.execute(
            text("select account_id, row_id from booking_work(:at, :most) where kind = 'hold'"),
            {"at": now(), "most": BATCH},
        ).all()
    for account_id, appointment_id in due:
        if not stopping.keep_on():
            return
        with tenancy.session_for(account_id) as session:
            holds.end(session, appointment_id, now())
            session.commit()


def offer_places(account_id: str, calendar_id: str) -> None:
    bells.take_down(runtime.current().redis, jobs.OFFER_PLACES.function, (account_id, calendar_id))
    account, calendar = parse_id(account_id), parse_id(calendar_id)
    if account is None or calendar is None:
        return
    with tenancy.session_for(account) as session:
        found = session.get(Account, account)
        told = waitlist_offers.offer_places(session, found, calendar) if found is not None else 0
        session.commit()
    if told:
        log.info("waitlist.told", calendar=calendar_id, people=told)
