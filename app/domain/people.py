"""Who works where and as what: roles, places, disabling. Inviting is in invitations.py.

An agency always keeps an owner who can sign in; two owners who remove each other at once are kept apart by a lock on
the agency's row. The caller commits.
"""

import uuid
from collections.abc import Iterable

from sqlalchemy import delete, select
from sqlalchemy.orm import Session, selectinload

from app.core.actor import Actor
from app.core.clock import now
from app.core.errors import Forbidden, Invalid, NotFound
from app.domain import audit, mail_links, sessions
from app.models.account import Account
from app.models.agency import Agency
from app.models.user import Membership, User

ROLE_NAMES = {"owner": "Agency owner", "staff": "Agency staff", "admin": "Admin", "user": "User"}


def of_agency(session: Session, agency_id: uuid.UUID, *, clients: bool = False) -> list[User]:
    """Owners and staff, or the people of client businesses; places and their accounts are loaded."""
    role = User.agency_role.is_(None) if clients else User.agency_role.is_not(None)
    people = session.scalars(
        select(User)
        .where(User.agency_id == agency_id, role)
        .options(selectinload(User.memberships).joinedload(Membership.account))
    )
    return sorted(people, key=lambda p: (p.disabled_at is not None, p.agency_role or "", p.name.lower()))


def of_account(session: Session, account: Account) -> list[tuple[User, str]]:
    """Everybody who may enter the account, with their role there; owners first."""
    rows = session.execute(
        select(User, Membership.role)
        .outerjoin(Membership, (Membership.user_id == User.id) & (Membership.account_id == account.id))
        .where(
            User.agency_id == account.agency_id,
            (Membership.id.is_not(None)) | (User.agency_role == "owner"),
        )
    )
    strength = list(ROLE_NAMES)
    found = [(user, "owner" if user.agency_role == "owner" else role) for user, role in rows]
    return sorted(found, key=lambda row: (strength.index(row[1]), row[0].name.lower()))


def one_of_agency(session: Session, agency_id: uuid.UUID, user_id: uuid.UUID) -> User:
    """With places loaded. Raises NotFound."""
    user = session.scalar(
        select(User)
        .where(User.id == user_id, User.agency_id == agency_id)
        .options(selectinload(User.memberships).joinedload(Membership.account))
    )
    if user is None:
        raise NotFound
    return user


def change_agency_role(session: Session, actor: Actor, user: User, role: str) -> None:
    """Owner to staff and back. Raises Invalid for the last owner."""
    if role not in ("owner", "staff") or user.agency_role is None:
        raise Invalid({"agency_role": "Choose owner or staff."})
    if user.agency_role == role:
        return
    if user.agency_role == "owner":
        _need_other_owner(session, user)
    before, user.agency_role = user.agency_role, role
    audit.note(session, actor, "user.role_changed", user.email, before=before, after=role)


def set_places(session: Session, actor: Actor, user: User, accounts: Iterable[Account]) -> None:
    """The accounts a member of staff may enter, exactly these; `user.memberships` is loaded."""
    wanted = {a.id: a for a in accounts}
    have = {m.account_id: m for m in user.memberships}
    for account_id, membership in have.items():
        if account_id not in wanted:
            audit.note(session, actor, "user.removed_from_account", user.email, account_id=account_id)
            session.delete(membership)
    for account_id in wanted.keys() - have.keys():
        session.add(Membership(user_id=user.id, account_id=account_id, role="staff"))
        audit.note(session, actor, "user.added_to_account", user.email, account_id=account_id, role="staff")


def membership_of(session: Session, account: Account, user_id: uuid.UUID) -> Membership:
    """With its user. Raises NotFound."""
    membership = session.scalar(
        select(Membership)
        .join(Membership.user)
        .where(
            Membership.account_id == account.id,
            Membership.user_id == user_id,
            User.agency_id == account.agency_id,
        )
        .options(selectinload(Membership.user))
    )
    if membership is None:
        raise NotFound
    return membership


def change_account_role(session: Session, actor: Actor, membership: Membership, role: str) -> None:
    """Admin to user and back, for people of the client business."""
    if membership.role == "staff":
        raise Forbidden("Agency staff are managed by the agency's owners.")
    if membership.user_id == actor.user_id:
        raise Forbidden("You cannot change your own role. Ask another admin.")
    if role not in ("admin", "user"):
        raise Invalid({"role": "Choose admin or user."})
    if membership.role == role:
        return
    before, membership.role = membership.role, role
    audit.note(
        session,
        actor,
        "user.role_changed",
        membership.user.email,
        account_id=membership.account_id,
        before=before,
        after=role,
    )


def remove_from_account(
    session: Session, actor: Actor, membership: Membership, *, by_owner: bool = False
) -> None:
    """Somebody who never accepted an invitation and has no other place is gone altogether."""
    user = membership.user
    if membership.role == "staff" and not by_owner:
        raise Forbidden("Agency staff are managed by the agency's owners.")
    if user.id == actor.user_id:
        raise Forbidden("You cannot remove yourself. Ask another admin.")
    audit.note(session, actor, "user.removed_from_account", user.email, account_id=membership.account_id)
    session.delete(membership)
    session.flush()
    if user.password_hash is None and user.agency_role is None:
        left = session.scalar(select(Membership.id).where(Membership.user_id == user.id).limit(1))
        if left is None:
            session.execute(delete(User).where(User.id == user.id))


def disable(session: Session, actor: Actor, user: User) -> None:
    """Signs them out everywhere, at once; what they wrote stays theirs. Raises Invalid for the last owner."""
    if user.id == actor.user_id:
        raise Invalid({"": "You cannot disable yourself. Ask another owner."})
    if user.disabled_at is not None:
        return
    if user.agency_role == "owner":
        _need_other_owner(session, user)
    user.disabled_at = now()
    sessions.end_all(session, user.id)
    mail_links.revoke(session, user.id)
    audit.note(session, actor, "user.disabled", user.email)


def enable(session: Session, actor: Actor, user: User) -> None:
    if user.disabled_at is None:
        return
    user.disabled_at = None
    audit.note(session, actor, "user.enabled", user.email)


def rename(session: Session, actor: Actor, user: User, name: str) -> None:
    name = " ".join(name.split())
    if not name or len(name) > 80:
        raise Invalid({"name": "Tell the others what to call you, in 80 characters or fewer."})
    if name == user.name:
        return
    before, user.name = user.name, name
    audit.note(session, actor, "user.renamed", user.email, before=before, after=name)


def _need_other_owner(session: Session, user: User) -> None:
    session.execute(select(Agency.id).where(Agency.id == user.agency_id).with_for_update())
    other = session.scalar(
        select(User.id)
        .where(
            User.agency_id == user.agency_id,
            User.agency_role == "owner",
            User.id != user.id,
            User.disabled_at.is_(None),
            User.password_hash.is_not(None),
        )
        .limit(1)
    )
    if other is None:
        raise Invalid({"": f"{user.name} is the last owner. Make somebody else an owner first."})
