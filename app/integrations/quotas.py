"""What the providers allow, as dated records with their source: when one changes, the new one is added below the old.

Kept in one module and not in tables, since a change comes with a release note of the provider's, not with an installation.
"""

import uuid
from dataclasses import dataclass
from datetime import date

from app.core.clock import now
from app.core.quota import Bucket


@dataclass(frozen=True)
class Quota:
    """`amount` units of one API in `period_s`, counted for each `whose`: project (all of this installation) or user (one
    connected account)."""

    provider: str
    api: str
    whose: str
    amount: float
    period_s: float
    valid_from: date
    source: str


CALENDAR = "https://developers.google.com/workspace/calendar/api/guides/quota"
GMAIL = "https://developers.google.com/workspace/gmail/api/reference/quota"

QUOTAS = (
    # In requests.
    Quota("google", "calendar", "user", 600, 60, date(2021, 5, 18), CALENDAR),
    Quota("google", "calendar", "project", 10_000, 60, date(2021, 5, 18), CALENDAR),
    Quota("google", "calendar", "project", 1_000_000, 86_400, date(2026, 5, 1), CALENDAR),
    # In units; each method has its weight.
    Quota("google", "gmail", "user", 15_000, 60, date(2014, 6, 25), GMAIL),
    Quota("google", "gmail", "user", 6_000, 60, date(2026, 5, 1), GMAIL),
)


def in_force(provider: str, api: str, on: date | None = None) -> list[Quota]:
    """The newest record of each kind that holds on that day."""
    day = on or now().date()
    newest: dict[tuple[str, float], Quota] = {}
    for quota in sorted(QUOTAS, key=lambda q: q.valid_from):
        if (quota.provider, quota.api) == (provider, api) and quota.valid_from <= day:
            newest[quota.whose, quota.period_s] = quota
    return list(newest.values())


def buckets(provider: str, api: str, connection_id: uuid.UUID) -> list[Bucket]:
    """Those a call of this connection draws on."""
    return [
        Bucket(
            f"{provider}:{api}:{quota.period_s:g}:{connection_id if quota.whose == 'user' else 'all'}",
            quota.amount,
            quota.period_s,
        )
        for quota in in_force(provider, api)
    ]
