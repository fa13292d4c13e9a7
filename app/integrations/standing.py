"""How connections by consent are doing, as the cards and the board show it: failures of late and what is left to ask for."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from app.core import quota
from app.integrations import gate, quotas, registry
from app.models.connection import Connection


@dataclass(frozen=True)
class Standing:
    """`quota_left` is the share of the scarcest bucket, None when it cannot be told."""

    calls: int = 0
    bad: int = 0
    quota_left: float | None = None

    @property
    def bad_percent(self) -> int:
        return round(100 * self.bad / self.calls) if self.calls else 0

    @property
    def quota_percent(self) -> int | None:
        return None if self.quota_left is None else round(100 * self.quota_left)


def standings(connections: Sequence[Connection]) -> dict[uuid.UUID, Standing]:
    ours = [connection for connection in connections if connection.is_oauth]
    if not ours:
        return {}
    counted = gate.counts([connection.id for connection in ours])
    drawn = [
        (connection.id, bucket)
        for connection in ours
        for feature in connection.features
        for bucket in quotas.buckets(connection.provider, feature, connection.id)
    ]
    lowest: dict[uuid.UUID, float] = {}
    for (connection_id, _), share in zip(drawn, quota.left([bucket for _, bucket in drawn]), strict=True):
        if share is not None:
            lowest[connection_id] = min(share, lowest.get(connection_id, 1.0))
    found = {}
    for connection in ours:
        counts = counted.get(connection.id, gate.Counts(0, 0))
        found[connection.id] = Standing(counts.calls, counts.bad, lowest.get(connection.id))
    return found


def scopes_in_words(connection: Connection) -> tuple[list[str], list[str]]:
    """(allowed, asked for and not allowed), as the names of features."""
    provider = registry.oauth_provider(connection.provider)
    has = {feature.key for feature in provider.granted(connection.scopes)}
    wanted = [feature for feature in provider.features if feature.key in connection.features]
    return (
        [feature.name for feature in wanted if feature.key in has],
        [feature.name for feature in wanted if feature.key not in has],
    )
