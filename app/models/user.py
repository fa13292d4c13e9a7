"""People who sign in, what they may enter, where they are signed in, and the one-use links mailed to them.

Agency owners enter every account of their agency; agency staff, account admins and account users enter the accounts of
their memberships.
"""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.account import Account
from app.models.agency import Agency
from app.models.base import Base, Row

AGENCY_ROLES = ("owner", "staff")
ACCOUNT_ROLES = ("staff", "admin", "user")


class User(Row, Base):
    __tablename__ = "users"

    agency_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("agencies.id"))
    # Stored in lower case; unique over the whole installation, since it is the sign-in name.
    email: Mapped[str]
    name: Mapped[str]
    password_hash: Mapped[str | None]
    # 'owner' or 'staff' for people of the agency, null for people of a client business.
    agency_role: Mapped[str | None]
    theme: Mapped[str] = mapped_column(default="auto", server_default="auto")
    disabled_at: Mapped[datetime | None]
    last_seen_at: Mapped[datetime | None]

    agency: Mapped[Agency] = relationship(lazy="raise")
    memberships: Mapped[list["Membership"]] = relationship(back_populates="user", lazy="raise")

    __table_args__ = (
        UniqueConstraint("email"),
        CheckConstraint("email = lower(email)", name="email_lower"),
        CheckConstraint("agency_role in ('owner', 'staff')", name="agency_role"),
        Index("ix_users_agency_id", "agency_id"),
    )


class Membership(Row, Base):
    __tablename__ = "memberships"

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    role: Mapped[str]

    user: Mapped[User] = relationship(back_populates="memberships", lazy="raise")
    account: Mapped[Account] = relationship(lazy="raise")

    __table_args__ = (
        UniqueConstraint("user_id", "account_id"),
        CheckConstraint("role in ('staff', 'admin', 'user')", name="role"),
        Index("ix_memberships_account_id", "account_id"),
    )


class LoginSession(Row, Base):
    """One signed-in browser. The cookie carries a random token, the table its SHA-256."""

    __tablename__ = "login_sessions"

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    token_hash: Mapped[str] = mapped_column(unique=True)
    ip: Mapped[str] = mapped_column(default="", server_default="")
    user_agent: Mapped[str] = mapped_column(default="", server_default="")
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_login_sessions_user_id", "user_id"),)


class MailLink(Row, Base):
    """A one-use link sent by mail: an invitation or a password reset. Only the hash of its token is kept."""

    __tablename__ = "mail_links"

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    purpose: Mapped[str]
    token_hash: Mapped[str] = mapped_column(unique=True)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("purpose in ('invitation', 'reset')", name="purpose"),
        Index("ix_mail_links_user_id_open", "user_id", postgresql_where=text("used_at is null")),
    )
