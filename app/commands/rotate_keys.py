"""`levelhead rotate-keys`: seals everything secret with the first key of ENCRYPTION_KEYS, while the product runs."""

import time

import click

from app.commands.start import Trouble, needs_runtime
from app.config import Settings
from app.core import runtime
from app.domain import sealed
from app.domain.sealed import SEALED, Pass, SealedColumn

# Rows that are held belong to work of a moment: a few looks with a pause between meet them free.
MOST_PASSES = 20
PAUSE = 0.5
TELL_EVERY = 2.0


@click.command("rotate-keys")
@click.option("--check", is_flag=True, help="Change nothing: only say how many values each key has sealed.")
@needs_runtime
def rotate_keys(settings: Settings, check: bool) -> None:
    """Seal every stored secret with the first key of ENCRYPTION_KEYS.

    Website and workers go on meanwhile. It may be stopped and run again at any time: it goes on where it stopped. Ends with
    exit code 1 when a value cannot be opened or is left under another key; keep the old keys until it ends with 0.
    """
    current = runtime.current().vault.current_key
    broken = 0 if check else sum(_rotate(column).broken for column in SEALED)
    others = 0
    for column in SEALED:
        keys = sealed.keys_in_use(column)
        others += sum(count for key, count in keys.items() if key != current)
        click.echo(f"{column}: {_counts(keys)}")
    known = [key_id for key_id, _ in settings.encryption_keys]
    if broken:
        raise Trouble(
            f"{_values(broken)} could not be opened: the key is not in ENCRYPTION_KEYS (known: {', '.join(known)}), or the "
            "bytes were changed.\nPut the missing key back at the end of ENCRYPTION_KEYS and run this again."
        )
    if others and check:
        raise Trouble(f"{_values(others)} not under the current key {current}. Run: levelhead rotate-keys")
    if others:
        raise Trouble(
            f"{_values(others)} still under another key: somebody is still writing with it. Restart website, workers and "
            "scheduler with the new ENCRYPTION_KEYS, then run this again."
        )
    click.echo(f"Everything is sealed with {current}.")
    if old := [key_id for key_id in known if key_id != current]:
        click.echo(f"No stored value needs {', '.join(old)} any more; backups made before today still do.")


def _rotate(column: SealedColumn) -> Pass:
    """Passes until nothing is left; the sum, with what the last one could not open."""
    total = Pass()
    told = time.monotonic()

    def tell(done: Pass) -> None:
        nonlocal told
        if time.monotonic() - told > TELL_EVERY:
            told = time.monotonic()
            click.echo(f"{column}: {total.renewed + done.renewed:,} sealed anew ...", err=True)

    for number in range(MOST_PASSES):
        if number:
            time.sleep(PAUSE)
        done = sealed.renew(column, tell)
        total = Pass(total.renewed + done.renewed, done.left, done.broken)
        if not done.left:
            break
    click.echo(f"{column}: {total.renewed:,} sealed anew", err=True)
    return total


def _counts(keys: dict[str, int]) -> str:
    return ", ".join(f"{count:,} under {key or '(no key)'}" for key, count in sorted(keys.items())) or "empty"


def _values(count: int) -> str:
    return "1 value is" if count == 1 else f"{count:,} values are"
