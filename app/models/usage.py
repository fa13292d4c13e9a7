"""How many texts an account queued on a day of its own calendar: what the daily quota looks at."""

from datetime import date

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, TenantRow


class DailyUsage(TenantRow, Base):
    __tablename__ = "daily_usage"

    day: Mapped[date]
    texts_out: Mapped[int] = mapped_column(default=0, server_default="0")

    __table_args__ = (UniqueConstraint("account_id", "day"),)
