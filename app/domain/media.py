"""Pictures and files of messages: what may come in, where it lies, and the signed address under which a provider fetches it."""

import uuid
from datetime import timedelta

from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.orm import Session

from app.core import runtime
from app.core.errors import Invalid, NotFound
from app.core.folding import clean
from app.core.ids import new_id, parse_id
from app.models.message import Attachment

# What Twilio takes and phones show, by the first bytes. https://www.twilio.com/docs/messaging/guides/accepted-mime-types
MAX_BYTES = 5 * 1024 * 1024
KINDS: tuple[tuple[bytes, int, str], ...] = (
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"GIF87a", 0, "image/gif"),
    (b"GIF89a", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
    (b"%PDF-", 0, "application/pdf"),
    (b"ftyp", 4, "video/mp4"),
    (b"ID3", 0, "audio/mpeg"),
    (b"OggS", 0, "audio/ogg"),
    (b"BEGIN:VCARD", 0, "text/vcard"),
    (b"#!AMR", 0, "audio/amr"),
)
# An address is made when the message leaves, and Twilio keeps one for ten hours at most before it gives up.
# https://www.twilio.com/docs/messaging/api/message-resource (ValidityPeriod)
FETCHED_WITHIN = timedelta(days=2)
# Shown inside a page; everything else is offered as a download.
PICTURES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


def kind_of(content: bytes) -> str | None:
    """Content type by looking at the content; a claimed type is not believed."""
    for mark, offset, content_type in KINDS:
        if content[offset : offset + len(mark)] == mark:
            return content_type
    return None


def storage_key(account_id: uuid.UUID, attachment_id: uuid.UUID) -> str:
    return f"media/{account_id}/{attachment_id}"


def store_upload(
    session: Session,
    account_id: uuid.UUID,
    filename: str,
    content_type: str,
    content: bytes,
    user_id: uuid.UUID | None,
) -> Attachment:
    """An uploaded file, not yet part of a message. Raises Invalid for what may not be sent."""
    if len(content) > MAX_BYTES:
        raise Invalid({"attachments": "A picture may have at most 5 MB."})
    kind = kind_of(content)
    if kind is None:
        raise Invalid({"attachments": "Only pictures, PDF, MP4, MP3 and vCard files can be sent."})
    attachment_id = new_id()
    key = storage_key(account_id, attachment_id)
    runtime.current().storage.write(key, content)
    attachment = Attachment(
        id=attachment_id,
        account_id=account_id,
        filename=clean(filename)[:120],
        content_type=kind,
        size_bytes=len(content),
        storage_key=key,
        state="stored",
        uploaded_by=user_id,
    )
    session.add(attachment)
    session.flush()
    return attachment


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(runtime.current().settings.secret_key, salt="media")


def public_url(attachment: Attachment) -> str:
    """The address at which the provider fetches the file, good for two days; nobody can guess another one from it."""
    token = _signer().dumps([attachment.account_id.hex, attachment.id.hex])
    return f"{runtime.current().settings.public_url}/media/{token}"


def open_public(token: str) -> tuple[uuid.UUID, uuid.UUID]:
    """(account id, attachment id). Raises NotFound for a token that is not ours or too old."""
    try:
        account, attachment = _signer().loads(token, max_age=int(FETCHED_WITHIN.total_seconds()))
    except (BadSignature, ValueError, TypeError) as error:
        raise NotFound from error
    account_id, attachment_id = parse_id(account), parse_id(attachment)
    if account_id is None or attachment_id is None:
        raise NotFound
    return account_id, attachment_id
