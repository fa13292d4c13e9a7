"""The link by which a guest changes or cancels a booking: signed, bound to this purpose, nothing stored.

Short, since it stands in texts: the booking's id and 12 bytes of an HMAC, 38 characters together. It works as long as the
booking exists; what may still be done with it is the booking's own state and time.
"""

import base64
import binascii
import hashlib
import hmac
import uuid

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.core import runtime, tenancy
from app.core.errors import NotFound
from app.models.booking import Booking

PURPOSE = b"booking-link|"
SIGNATURE_BYTES = 12


def booking_token(booking_id: uuid.UUID) -> str:
    raw = booking_id.bytes + _signature(booking_id)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def manage_url(booking_id: uuid.UUID) -> str:
    return f"{runtime.current().settings.public_url}/b/{booking_token(booking_id)}"


def read_token(token: str) -> uuid.UUID:
    """The booking's id. Raises NotFound for anything we did not sign."""
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError) as error:
        raise NotFound from error
    if len(raw) != 16 + SIGNATURE_BYTES:
        raise NotFound
    booking_id = uuid.UUID(bytes=raw[:16])
    # The whole text is compared: Base64 has several spellings of the same bytes.
    if not hmac.compare_digest(token.encode(), booking_token(booking_id).encode()):
        raise NotFound
    return booking_id


def enter_by_token(session: Session, token: str) -> Booking:
    """The booking of a link; the session enters its account. Raises NotFound."""
    booking_id = read_token(token)
    account_id = session.scalar(text("select account_of_booking(:id)"), {"id": booking_id})
    if account_id is None:
        raise NotFound
    tenancy.enter_account(session, account_id)
    found = session.get(Booking, booking_id)
    if found is None:
        raise NotFound
    return found


def _signature(booking_id: uuid.UUID) -> bytes:
    key = runtime.current().settings.secret_key.encode()
    return hmac.new(key, PURPOSE + booking_id.bytes, hashlib.sha256).digest()[:SIGNATURE_BYTES]
