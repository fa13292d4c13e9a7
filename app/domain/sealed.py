"""Every sealed column, and sealing them anew with the current key while everything runs.

A pass walks through a table by id and takes only values of other keys, so it goes on where an earlier one stopped. A new
value is written only where the old bytes still stand: whoever stored something meanwhile wins. Rows that somebody holds are
left for the next pass instead of waited for, so that rotation cannot deadlock with the work.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import TextClause, select, text

from app.core import runtime, tenancy
from app.core.crypto import SealBroken, place
from app.models.account import Account
from app.models.tables import Base, tenant_tables

BATCH = 200


@dataclass(frozen=True)
class SealedColumn:
    """Sealed for the place `<table>|<id>|<field>`."""

    table: str
    field: str

    def __str__(self) -> str:
        return f"{self.table}.{self.field}"

    def statement(self, words: str) -> TextClause:
        """The names come from the list below, never from outside."""
        return text(words.format(table=self.table, field=self.field))


# Whoever adds a column of bytes adds it here; a rule test compares the two.
SEALED = (
    SealedColumn("connections", "credentials"),
    SealedColumn("mails", "body"),
    SealedColumn("oauth_attempts", "verifier"),
    SealedColumn("webhook_events", "payload"),
)

_OTHERS = """
    select id, {field} as value from {table}
    where {field} is not null and id > :after and substring({field} from 1 for :size) <> :mark
    order by id limit :most
"""
_EXCHANGE = """
    update {table} t set {field} = v.fresh
    from unnest(cast(:ids as uuid[]), cast(:old as bytea[]), cast(:fresh as bytea[])) as v(id, old, fresh)
    where t.id = v.id and t.{field} = v.old
      and t.id in (select id from {table} where id = any(cast(:ids as uuid[])) for no key update skip locked)
    returning t.id
"""
# Key ids are ASCII; what is not is shown escaped.
_KEYS = """
    select case when octet_length({field}) > 1
                then encode(substring({field} from 2 for get_byte({field}, 0)), 'escape') else '' end as key,
           count(*) as values
    from {table} where {field} is not null group by 1
"""


@dataclass
class Pass:
    """What one walk through a column did."""

    renewed: int = 0
    # Held or changed by somebody meanwhile: for the next pass.
    left: int = 0
    # Cannot be opened: no such key, or changed bytes.
    broken: int = 0


def renew(column: SealedColumn, tell: Callable[[Pass], None] = lambda _: None) -> Pass:
    """Seals the column's values of other keys with the current one; commits batch by batch."""
    done = Pass()
    for account_id in _scopes(column):
        after = uuid.UUID(int=0)
        while batch := _next_batch(column, account_id, after):
            after = batch[-1][0]
            _renew_batch(column, account_id, batch, done)
            tell(done)
    return done


def _scopes(column: SealedColumn) -> Iterator[uuid.UUID | None]:
    """A fenced table is walked account by account."""
    if column.table not in tenant_tables():
        yield None
        return
    with tenancy.session_for() as session:
        accounts = session.scalars(select(Account.id)).all()
    yield from accounts


def _next_batch(
    column: SealedColumn, account_id: uuid.UUID | None, after: uuid.UUID
) -> list[tuple[uuid.UUID, bytes]]:
    mark = runtime.current().vault.mark
    values = {"after": after, "size": len(mark), "mark": mark, "most": BATCH}
    with tenancy.session_for(account_id) as session:
        return [(row.id, bytes(row.value)) for row in session.execute(column.statement(_OTHERS), values)]


def _renew_batch(
    column: SealedColumn, account_id: uuid.UUID | None, batch: list[tuple[uuid.UUID, bytes]], done: Pass
) -> None:
    vault = runtime.current().vault
    ids, old, fresh = [], [], []
    for row_id, sealed in batch:
        where = place(column.table, row_id, column.field)
        try:
            opened = vault.open(sealed, where)
        except SealBroken:
            done.broken += 1
            continue
        ids.append(row_id)
        old.append(sealed)
        fresh.append(vault.seal(opened, where))
    if not ids:
        return
    with tenancy.session_for(account_id) as session:
        changed = session.execute(column.statement(_EXCHANGE), {"ids": ids, "old": old, "fresh": fresh}).all()
        session.commit()
    done.renewed += len(changed)
    done.left += len(ids) - len(changed)


def keys_in_use(column: SealedColumn) -> dict[str, int]:
    """How many values each key has sealed."""
    found: dict[str, int] = {}
    for account_id in _scopes(column):
        with tenancy.session_for(account_id) as session:
            for row in session.execute(column.statement(_KEYS)):
                found[row.key] = found.get(row.key, 0) + row.values
    return found


def byte_columns() -> set[str]:
    """Columns of bytes of all models: what must be in the list."""
    return {
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if getattr(column.type, "python_type", None) is bytes
    }
