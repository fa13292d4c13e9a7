"""Whether a page of free times is still what it was: one short query over everything the page depends on.

The answer is a digest of the business, the calendar, and the very rows that diary.py reads, with holds and stale calendars
judged as of now. Two equal digests within the same minute mean the same page: nothing on it changes by the clock alone
within a minute, since times begin at whole minutes.
"""

import re
import uuid
from datetime import datetime, timedelta

from app.core.tenancy import raw_for
from app.domain.booking import diary

# Caps count whole weeks around what is shown, and buffers reach over its edges.
MARGIN = timedelta(days=9)


def _in_psycopgs_words(query: str) -> str:
    return re.sub(r"(?<!:):(\w+)", r"%(\1)s", query)


_DIGEST = _in_psycopgs_words(f"""
    select md5(concat_ws('|',
        (select a::text from accounts a where a.id = :account),
        (select c::text from calendars c where c.id = :calendar),
        (select string_agg(h::text || u.name || coalesce(u.disabled_at::text, ''), '|' order by h.id)
         from calendar_hosts h join users u on u.id = h.user_id where h.calendar_id = :calendar),
        (select string_agg(x::text, '|') from ({diary.HOSTS}) x),
        (select string_agg(y::text, '|' order by y.id) from ({diary.BOOKED}) y)))
""")


def digest(
    account_id: uuid.UUID, calendar_id: uuid.UUID, since: datetime, until: datetime, at: datetime
) -> str:
    """For what is shown from `since` until `until`."""
    first, last = since - MARGIN, until + MARGIN
    values = {
        "account": account_id,
        "calendar": calendar_id,
        "stale": at - diary.STALE_AFTER,
        "readable": list(diary.READABLE),
        "since": first,
        "until": last,
        "at": at,
        "first": first.date(),
        "last": last.date(),
        "fresh": at - diary.HOLD_LASTS,
    }
    with raw_for(account_id) as connection:
        found = connection.execute(_DIGEST, values).fetchone()
    assert found is not None
    return str(found[0])
