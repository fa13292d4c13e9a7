"""Working hours: a reusable week in wall time of one zone, and the dates that differ from it.

Hours are kept as people say them ("09:00" to "17:00" in Europe/Berlin), never as UTC: what moment they are is worked out
for each date (domain/availability), since the zone's offset changes.
"""

import uuid
from datetime import date
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.base import Base, TenantRow, tenant_key, tenant_reference


class Schedule(TenantRow, Base):
    __tablename__ = "schedules"

    # Whose hours; None for hours of the business that anybody may use.
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str]
    timezone: Mapped[str]
    # {"0": [["09:00", "12:00"], ["13:00", "17:00"]], ...}: Monday is 0; a day that is missing is closed; "24:00" ends a day.
    weekly: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'"))
    is_default: Mapped[bool] = mapped_column(default=False, server_default=text("false"))

    dates: Mapped[list["ScheduleDate"]] = relationship(
        back_populates="schedule", lazy="raise", order_by="ScheduleDate.on", cascade="all, delete-orphan"
    )

    __table_args__ = (tenant_key("schedules"), Index("ix_schedules_account_id_user", "account_id", "user_id"))


class ScheduleDate(TenantRow, Base):
    """A date with hours of its own, or none: they replace the week's for that date."""

    __tablename__ = "schedule_dates"

    schedule_id: Mapped[uuid.UUID]
    on: Mapped[date]
    # [["10:00", "14:00"]]; empty is closed.
    hours: Mapped[list[Any]] = mapped_column(default=list, server_default=text("'[]'"))
    label: Mapped[str] = mapped_column(default="", server_default="")
    # Dates put in from a list of public holidays can be taken out together.
    source: Mapped[str] = mapped_column(default="manual", server_default="manual")

    schedule: Mapped[Schedule] = relationship(back_populates="dates", lazy="raise")

    __table_args__ = (
        tenant_reference("schedule_id", "schedules", "CASCADE"),
        UniqueConstraint("account_id", "schedule_id", "on"),
        CheckConstraint("source in ('manual', 'holiday')", name="source"),
    )
