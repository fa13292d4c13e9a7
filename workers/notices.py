"""Sends the notices of bookings that are due: each in a transaction of its own, in its own account."""

import uuid

import structlog
from sqlalchemy import text

from app.core import bells, jobs, runtime, tenancy
from app.core.clock import now
from app.domain.notices import fire
from workers import stopping

log = structlog.get_logger()

BATCH = 200


def drain() -> None:
    bells.take_down(runtime.current().redis, jobs.SEND_NOTICES.function, ())
    seen: set[uuid.UUID] = set()
    while stopping.keep_on() and (due := [row for row in _due() if row[1] not in seen]):
        for account_id, notice_id in due:
            seen.add(notice_id)
            try:
                with tenancy.session_for(account_id) as session:
                    state = fire.fire(session, notice_id)
                    session.commit()
            except Exception:
                # It waits for the next time, and does not hold up those behind it.
                log.exception("notice.failed", notice=str(notice_id))
                continue
            if state:
                log.info("notice", notice=str(notice_id), state=state)


def _due() -> list[tuple[uuid.UUID, uuid.UUID]]:
    with tenancy.session_for() as session:
        rows = session.execute(
            text("select account_id, row_id from booking_work(:at, :most) where kind = 'notice'"),
            {"at": now(), "most": BATCH},
        )
        return [(row.account_id, row.row_id) for row in rows]
