"""Conditions that SQLAlchemy has no short word for."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, any_, bindparam
from sqlalchemy.orm import InstrumentedAttribute


def among(column: InstrumentedAttribute[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """`column in values` with all values in one parameter: the statement is the same text for any number of them, so that
    it is prepared once. With `in_` a batch of each size is a statement of its own."""
    return column == any_(bindparam(None, list(values), type_=ARRAY(column.type)))
