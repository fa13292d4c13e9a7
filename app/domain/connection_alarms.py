"""The mail to those who can mend a connection; once for each time it breaks."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core import runtime
from app.core.clock import now
from app.domain import access, mails
from app.domain.connection_features import use_of
from app.models.account import Account
from app.models.connection import Connection
from app.models.user import Membership, User


def tell_menders(
    session: Session, account: Account, connection: Connection, sentence: str, path: str
) -> None:
    """`path` is where it is mended. Whose own connection it is hears of it as well."""
    use = use_of(connection.features)
    title = use.title.format(name=account.name)
    said = sentence
    if connection.state == "revoked":
        said = f"Access was withdrawn at {connection.provider_name}. {sentence}"
    letter = mails.write(
        "notice",
        title=title,
        paragraphs=[f"{connection.title}: {said}", use.stopped, use.kept],
        action="Reconnect",
        url=f"{runtime.current().settings.public_url}{path}",
    )
    occasion = now().strftime("%Y%m%d%H%M")
    for person in _menders(session, account, connection):
        mails.queue_mail(
            session,
            agency_id=account.agency_id,
            recipient=person.email,
            subject=_subject(account, connection, title),
            kind="connection_alarm",
            account_id=account.id,
            body_text=letter.text,
            body_html=letter.html,
            dedupe_key=f"reconnect:{connection.id}:{person.id}:{occasion}",
            user_id=person.id,
        )


def _subject(account: Account, connection: Connection, title: str) -> str:
    what = "access was withdrawn" if connection.state == "revoked" else "reconnect needed"
    if use_of(connection.features).pages:
        return f"{title}: {what}"
    return f"{account.name}: texts are waiting, {what}"


def _menders(session: Session, account: Account, connection: Connection) -> list[User]:
    """The account's admins and staff, the agency's owners where there are none, and the person whose own it is."""
    members = select(Membership.user_id).where(
        Membership.account_id == account.id, Membership.role.in_(access.CAN_ADMIN_ACCOUNT)
    )
    found = _people(session, set(session.scalars(members)))
    if not found:
        found = _people(session, set(access.agency_owner_ids(session, account.agency_id)))
    if connection.user_id is not None and connection.user_id not in {person.id for person in found}:
        found += _people(session, {connection.user_id})
    return found


def _people(session: Session, ids: set[object]) -> list[User]:
    query = select(User).where(User.id.in_(ids), User.disabled_at.is_(None)).order_by(User.id)
    return list(session.scalars(query))
