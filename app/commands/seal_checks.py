"""Whether every sealed value can be opened with the keys at hand, for `levelhead doctor`."""

from collections.abc import Iterable

from app.commands.findings import BAD, OK, WARNING, Finding
from app.core import runtime
from app.domain import sealed


def keys() -> Iterable[Finding]:
    """By the key ids the values carry; nothing is opened."""
    known = {key_id for key_id, _ in runtime.current().settings.encryption_keys}
    current = runtime.current().vault.current_key
    counts: dict[str, int] = {}
    for column in sealed.SEALED:
        for key_id, count in sealed.keys_in_use(column).items():
            counts[key_id] = counts.get(key_id, 0) + count
    lost = {key_id: count for key_id, count in counts.items() if key_id not in known}
    old = sum(count for key_id, count in counts.items() if key_id in known and key_id != current)
    if lost:
        words = ", ".join(
            f"{count:,} values need key {key_id or '?'}" for key_id, count in sorted(lost.items())
        )
        yield Finding(
            "Encryption keys", BAD, f"{words}, which is missing", "Put it back at the end of ENCRYPTION_KEYS."
        )
    elif old:
        yield Finding(
            "Encryption keys",
            WARNING,
            f"{old:,} values wait under an older key",
            "Run: levelhead rotate-keys",
        )
    else:
        yield Finding("Encryption keys", OK, f"all values under {current}")
