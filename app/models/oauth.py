"""Consents under way at a provider, and the links by which somebody without a sign-in may give one.

Both lie outside the row-level fence: the provider sends a browser back with nothing but our state, and a link carries
nothing but its token.
"""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Row


class ConnectLink(Row, Base):
    """Lets whoever holds it re-authorise one connection, once. Only the hash of its token is kept."""

    __tablename__ = "connect_links"

    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    connection_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"))
    token_hash: Mapped[str] = mapped_column(unique=True)
    # Where it was mailed to; empty when it was only shown.
    sent_to: Mapped[str] = mapped_column(default="", server_default="")
    made_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    made_by_name: Mapped[str]
    expires_at: Mapped[datetime]
    opened_at: Mapped[datetime | None]
    # Used up by success alone.
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_connect_links_connection_id", "connection_id"),)


class OAuthAttempt(Row, Base):
    """One way to a provider and back: who went, what for, and the secret half of PKCE."""

    __tablename__ = "oauth_attempts"

    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    provider: Mapped[str]
    # The connection that is renewed or widened; None makes a new one.
    connection_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"))
    # Who went: somebody signed in, or the holder of a link.
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    link_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("connect_links.id", ondelete="CASCADE"))
    features: Mapped[list[str]] = mapped_column(ARRAY(TEXT), default=list, server_default=text("'{}'"))
    # The browser that left must be the one that comes back; both are random and kept as hashes.
    nonce_hash: Mapped[str]
    browser_hash: Mapped[str]
    # Sealed; the place is oauth_attempts|<id>|verifier. Erased when the attempt was used.
    verifier: Mapped[bytes | None]
    # Where to go afterwards, an address on this site.
    return_to: Mapped[str] = mapped_column(default="", server_default="")
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_oauth_attempts_expires_at", "expires_at"),)
