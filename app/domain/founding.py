"""Setting up without a page: the first agency, and people who get a password or a link instead of a mail.

For commands, whose caller owns the machine. Each verb can be run again and then mends what is missing. The caller commits.
"""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.core.actor import Actor
from app.core.errors import Invalid
from app.domain import audit, invitations, mail_links, passwords
from app.domain.invitations import Place
from app.models.agency import Agency
from app.models.user import Membership, User


@dataclass(frozen=True)
class Founded:
    """`link` is the address at which the person chooses a password, '' when they have one."""

    user: User
    is_new: bool
    link: str = ""


def agency(session: Session, name: str, by: str) -> tuple[Agency, bool]:
    """The agency of that name and whether it was made now. Raises Invalid."""
    name = " ".join(name.split())
    if not 0 < len(name) <= 80:
        raise Invalid({"name": "Give the agency a name, in 80 characters or fewer."})
    found = session.scalar(select(Agency).where(func.lower(Agency.name) == name.lower()))
    if found is not None:
        return found, False
    made = Agency(name=name)
    session.add(made)
    session.flush()
    audit.note(session, Actor(made.id, None, by), "agency.created", made.name)
    return made, True


def person(
    session: Session,
    actor: Actor,
    *,
    email: str,
    name: str = "",
    agency_role: str | None = None,
    places: list[Place] | None = None,
    password: str = "",
) -> Founded:
    """Somebody with that address, role and places. With a password they can sign in at once; without, and without one
    from before, there is a link for them. Raises Invalid."""
    email = invitations.checked_email(email)
    user = session.scalar(select(User).where(User.email == email))
    is_new = user is None
    if user is None:
        user = User(
            agency_id=actor.agency_id,
            email=email,
            name=" ".join(name.split())[:80] or email.partition("@")[0],
            agency_role=agency_role,
        )
        session.add(user)
        session.flush()
        audit.note(session, actor, "user.created", user.email, role=agency_role or "")
    elif user.agency_id != actor.agency_id:
        raise Invalid({"email": "This address already belongs to another agency."})
    _add_places(session, actor, user, places or [])
    if password:
        passwords.check_new(password, email=user.email, name=user.name)
        user.password_hash = passwords.hash_password(password)
        mail_links.revoke(session, user.id)
        audit.note(session, actor, "user.password_set", user.email)
    session.flush()
    link = "" if user.password_hash else mail_links.make(session, user, "invitation")
    return Founded(user, is_new, link)


def _add_places(session: Session, actor: Actor, user: User, places: list[Place]) -> None:
    have = {m.account_id: m for m in session.scalars(select(Membership).where(Membership.user_id == user.id))}
    for place in places:
        role = "staff" if user.agency_role == "staff" else place.role
        held = have.get(place.account.id)
        if held is None:
            session.add(Membership(user_id=user.id, account_id=place.account.id, role=role))
            audit.note(
                session,
                actor,
                "user.added_to_account",
                user.email,
                account_id=place.account.id,
                role=role,
            )
        elif held.role != role:
            before, held.role = held.role, role
            audit.note(
                session,
                actor,
                "user.role_changed",
                user.email,
                account_id=place.account.id,
                before=before,
                after=role,
            )
