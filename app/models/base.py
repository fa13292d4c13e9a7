"""What every table shares: names of constraints, id and time columns, and the mark of a tenant table.

A class with `TenantRow` carries `account_id`, is fenced by row-level security (migrations read `tenant_tables()`), and is
referred to by `(account_id, id)` so that a row cannot point into another account.
"""

import importlib
import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    MetaData,
    UniqueConstraint,
    Uuid,
    event,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, Mapper, declared_attr, mapped_column
from sqlalchemy.schema import SchemaItem

from app.core.ids import new_id

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {  # noqa: RUF012
        datetime: DateTime(timezone=True),
        uuid.UUID: Uuid(),
        dict[str, Any]: JSONB,
        list[dict[str, Any]]: JSONB,
        list[Any]: JSONB,
    }


class Row:
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class TenantRow(Row):
    @declared_attr
    @classmethod
    def account_id(cls) -> Mapped[uuid.UUID]:
        return mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))


@event.listens_for(Mapper, "before_configured")
def _know_every_table() -> None:
    """Tables refer to each other by name, whichever modules a process happens to have loaded."""
    importlib.import_module("app.models.tables")


def tenant_key(table: str) -> UniqueConstraint:
    """The target of composite foreign keys: `(account_id, id)`."""
    return UniqueConstraint("account_id", "id", name=f"uq_{table}_account_id_id")


def tenant_reference(column: str, target: str, ondelete: str | None = None) -> SchemaItem:
    """A foreign key that cannot leave the account."""
    return ForeignKeyConstraint(
        ["account_id", column], [f"{target}.account_id", f"{target}.id"], ondelete=ondelete
    )


def tenant_tables() -> list[str]:
    """Names of the tables behind row-level security."""
    classes = [mapper.class_ for mapper in Base.registry.mappers]
    return sorted(
        str(mapped.__tablename__)
        for mapped in classes
        if issubclass(mapped, Base) and issubclass(mapped, TenantRow)
    )
