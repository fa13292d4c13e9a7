"""Provider prices as dated records with their source: never constants in code."""

from datetime import date

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped

from app.models.base import Base, Row


class PriceRecord(Row, Base):
    __tablename__ = "price_records"

    provider: Mapped[str]
    # sms_out, sms_in, mms_out, mms_in, carrier_out: per segment for SMS, per message for MMS
    item: Mapped[str]
    # ISO country of the other end, '*' for everywhere else
    country: Mapped[str]
    currency: Mapped[str]
    micros: Mapped[int]
    valid_from: Mapped[date]
    source: Mapped[str]

    __table_args__ = (
        UniqueConstraint("provider", "item", "country", "valid_from"),
        CheckConstraint("micros >= 0", name="not_negative"),
    )
