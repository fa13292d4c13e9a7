"""Pictures and files of messages: for the people of the account, and by signed address for the provider."""

from uuid import UUID

from flask import Blueprint, Response, make_response
from sqlalchemy.orm import Session

from app.core import runtime
from app.core.errors import NotFound
from app.core.request_scope import db
from app.core.security import public
from app.core.tenancy import session_for
from app.domain import media
from app.models.message import Attachment

blueprint = Blueprint("media", __name__)

A_DAY_S = 86_400
# Even a file that a browser would run as a page can do nothing under this.
SANDBOX = "default-src 'none'; img-src 'self'; media-src 'self'; sandbox"


@blueprint.get("/a/<account>/media/<uuid:attachment_id>")
def show(account: str, attachment_id: UUID) -> Response:
    return _file(db(), attachment_id, f"private, max-age={A_DAY_S}, immutable")


@blueprint.get("/media/<token>")
@public
def fetch(token: str) -> Response:
    """What the provider loads when it takes a picture message."""
    account_id, attachment_id = media.open_public(token)
    with session_for(account_id) as session:
        return _file(session, attachment_id, f"private, max-age={A_DAY_S}")


def _file(session: Session, attachment_id: UUID, cache: str) -> Response:
    attachment = session.get(Attachment, attachment_id)
    if attachment is None or attachment.state != "stored" or not attachment.storage_key:
        raise NotFound
    try:
        content = runtime.current().storage.read(attachment.storage_key)
    except FileNotFoundError:
        raise NotFound from None
    response = make_response(content)
    shown = attachment.content_type in media.PICTURES or attachment.content_type.startswith(
        ("video/", "audio/")
    )
    response.headers["Content-Type"] = attachment.content_type
    response.headers["Content-Disposition"] = "inline" if shown else "attachment"
    if not shown and attachment.filename:
        response.headers.set("Content-Disposition", "attachment", filename=attachment.filename)
    response.headers["Content-Security-Policy"] = SANDBOX
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Cache-Control"] = cache
    return response
