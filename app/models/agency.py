"""The agency: owns the accounts, employs the staff."""

from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Row


class Agency(Row, Base):
    __tablename__ = "agencies"

    name: Mapped[str]
    mail_from: Mapped[str] = mapped_column(default="", server_default="")
