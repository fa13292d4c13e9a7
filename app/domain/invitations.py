"""Inviting people: by a mailed link good for seven days, with which they choose a name and a password.

Until then the person is there without a password and cannot sign in. The caller commits.
"""

import re
import uuid
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.core import runtime
from app.core.actor import Actor
from app.core.errors import Invalid, NotFound
from app.domain import audit, mail_links, mail_pace, mails, passwords
from app.models.account import Account
from app.models.agency import Agency
from app.models.user import Membership, User

_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)*")


@dataclass(frozen=True)
class Place:
    """An account and the role somebody gets in it."""

    account: Account
    role: str


def invite(
    session: Session,
    actor: Actor,
    *,
    email: str,
    name: str = "",
    agency_role: str | None = None,
    places: list[Place] | None = None,
) -> User:
    """Invites somebody new, or gives somebody who is already here the places as well. Raises Invalid."""
    places = places or []
    email = checked_email(email)
    if agency_role is None and not places:
        raise Invalid({"accounts": "Choose at least one account."})
    user = session.scalar(select(User).where(User.email == email))
    if user is not None:
        return _add_places(session, actor, user, agency_role, places)
    user = User(
        agency_id=actor.agency_id,
        email=email,
        name=name.strip() or email.partition("@")[0],
        agency_role=agency_role,
    )
    try:
        with session.begin_nested():
            session.add(user)
    except IntegrityError:
        raise Invalid({"email": "Somebody invited this address just now. Reload the page."}) from None
    for place in places:
        session.add(Membership(user_id=user.id, account_id=place.account.id, role=place.role))
    _mail(session, actor, user, [p.account.name for p in places])
    _note(session, actor, "user.invited", user, places, agency_role=agency_role)
    return user


def checked_email(email: str) -> str:
    email = passwords.normal_email(email)
    if not _EMAIL.fullmatch(email) or len(email) > 254:
        raise Invalid({"email": "That does not look like an e-mail address."})
    return email


def _add_places(
    session: Session, actor: Actor, user: User, agency_role: str | None, places: list[Place]
) -> User:
    if user.agency_id != actor.agency_id:
        raise Invalid({"email": "This address cannot be invited here: it already belongs to another agency."})
    if user.disabled_at is not None:
        raise Invalid({"email": f"{user.name} is disabled. An agency owner can enable them again."})
    if agency_role is not None:
        raise Invalid({"email": f"{user.name} is already here. Change their role in the list instead."})
    if user.agency_role == "owner":
        raise Invalid({"email": f"{user.name} owns the agency and can open every account already."})
    mine = set(session.scalars(select(Membership.account_id).where(Membership.user_id == user.id)))
    new = [p for p in places if p.account.id not in mine]
    if not new:
        raise Invalid({"email": f"{user.name} is already here."})
    for place in new:
        role = "staff" if user.agency_role == "staff" else place.role
        session.add(Membership(user_id=user.id, account_id=place.account.id, role=role))
    names = [p.account.name for p in new]
    if user.password_hash is None:
        _mail(session, actor, user, names)
    else:
        _tell(session, actor, user, names)
    _note(session, actor, "user.added_to_account", user, new)
    return user


def resend(session: Session, actor: Actor, user: User) -> None:
    """A new link; the old one stops working. Raises Invalid when there is nothing to accept any more."""
    _need_open(user)
    names = session.scalars(
        select(Account.name)
        .join(Membership, Membership.account_id == Account.id)
        .where(Membership.user_id == user.id)
        .order_by(Account.name)
    )
    _mail(session, actor, user, list(names))
    audit.note(session, actor, "user.invited_again", user.email)


def revoke(session: Session, actor: Actor, user: User) -> None:
    """The link stops working and the person, who never came, is gone."""
    _need_open(user)
    audit.note(session, actor, "user.invitation_revoked", user.email)
    session.execute(delete(User).where(User.id == user.id))


def accept(session: Session, token: str, *, name: str, password: str, ip: str) -> User | None:
    """Sets name and password. None when the link is no longer good; Invalid for a poor name or password."""
    user = mail_links.owner_of(session, token, "invitation")
    if user is None:
        return None
    if not name.strip():
        raise Invalid({"name": "Tell the others what to call you."})
    passwords.check_new(password, email=user.email, name=name)
    user = mail_links.use(session, token, "invitation")
    if user is None:
        return None
    user.name = " ".join(name.split())[:80]
    user.password_hash = passwords.hash_password(password)
    mail_links.revoke(session, user.id)
    actor = Actor(user.agency_id, user.id, user.name, ip)
    audit.note(session, actor, "user.invitation_accepted", user.email)
    return user


def _need_open(user: User) -> None:
    if user.password_hash is not None:
        raise Invalid({"": f"{user.name} has accepted the invitation already."})


def _mail(session: Session, actor: Actor, user: User, account_names: list[str]) -> None:
    agency = session.get(Agency, user.agency_id)
    if agency is None:
        raise NotFound
    mail_pace.take(actor, user.email, "invitation")
    url = mail_links.make(session, user, "invitation")
    days = mail_links.LASTS["invitation"].days
    letter = mails.write(
        "invitation", inviter=actor.name, agency=agency.name, accounts=account_names, url=url, days=days
    )
    mails.queue_mail(
        session,
        agency_id=user.agency_id,
        recipient=user.email,
        subject=f"{actor.name} invites you to {account_names[0] if len(account_names) == 1 else agency.name}",
        kind="invitation",
        body_text=letter.text,
        body_html=letter.html,
        user_id=user.id,
    )


def _tell(session: Session, actor: Actor, user: User, account_names: list[str]) -> None:
    """Somebody who signs in already learns that there is more to open now."""
    title = f"You can now open {', '.join(account_names)}"
    letter = mails.write(
        "notice",
        title=title,
        paragraphs=[f"{actor.name} gave you access. Sign in as always; the account is in the switcher."],
        action="Open Levelhead",
        url=runtime.current().settings.public_url,
    )
    mails.queue_mail(
        session,
        agency_id=user.agency_id,
        recipient=user.email,
        subject=title,
        kind="access_given",
        body_text=letter.text,
        body_html=letter.html,
        user_id=user.id,
    )


def _note(
    session: Session,
    actor: Actor,
    action: str,
    user: User,
    places: list[Place],
    agency_role: str | None = None,
) -> None:
    account_id: uuid.UUID | None = places[0].account.id if len(places) == 1 else None
    detail: dict[str, object] = {}
    if places:
        detail["accounts"] = [p.account.name for p in places]
        detail["role"] = places[0].role
    if agency_role:
        detail["role"] = agency_role
    audit.note(session, actor, action, user.email, account_id=account_id, **detail)
