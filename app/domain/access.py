"""Who may enter which account, and as what.

Roles in an account, strongest first: owner (the agency's), staff (the agency's, on chosen accounts), admin and user (of
the client business). A person without a role is told that there is no such account.
"""

import uuid
from dataclasses import dataclass

from sqlalchemy import ScalarSelect, Select, String, Uuid, bindparam, func, or_, select
from sqlalchemy.orm import Session

from app.core.errors import Forbidden, NotFound
from app.models.account import Account
from app.models.user import Membership, User

# What each role may do beside working in the inbox and with contacts.
CAN_ADMIN_ACCOUNT = ("owner", "staff", "admin")


@dataclass(frozen=True)
class Access:
    account: Account
    role: str

    @property
    def can_admin(self) -> bool:
        """Connections, people and settings of this account."""
        return self.role in CAN_ADMIN_ACCOUNT

    def need_admin(self) -> None:
        if not self.can_admin:
            raise Forbidden("Only an admin of this account can do that. Ask one of them.")


# Every request asks for it, so it is built once.
_BY_SLUG = (
    select(Account, Membership.role)
    .outerjoin(
        Membership,
        (Membership.account_id == Account.id) & (Membership.user_id == bindparam("user_id", type_=Uuid())),
    )
    .where(Account.slug == bindparam("slug", type_=String()), Account.archived_at.is_(None))
)


def enter(session: Session, user: User, slug: str) -> Access:
    """The account with that slug and the user's role in it. Raises NotFound for a stranger."""
    row = session.execute(_BY_SLUG, {"slug": slug, "user_id": user.id}).first()
    if row is None:
        raise NotFound
    account, membership = row
    if user.agency_role == "owner" and account.agency_id == user.agency_id:
        return Access(account, "owner")
    if membership is not None and account.agency_id == user.agency_id:
        return Access(account, membership)
    raise NotFound


def accounts_of(user: User) -> Select[Account]:
    """Every account the user may enter, as a query to narrow and sort."""
    mine = select(Membership.account_id).where(Membership.user_id == user.id)
    query = select(Account).where(Account.agency_id == user.agency_id, Account.archived_at.is_(None))
    return query if user.agency_role == "owner" else query.where(Account.id.in_(mine))


def count_of_accounts(user: User) -> ScalarSelect[int]:
    """How many that are, as a column of another query."""
    return accounts_of(user).with_only_columns(func.count(Account.id)).scalar_subquery()


def search_accounts(session: Session, user: User, text: str, limit: int = 8) -> list[Account]:
    """Those whose name begins with the text first, then those with a word that does, then the rest."""
    text, name = text.strip().lower(), func.lower(Account.name)
    query = accounts_of(user).limit(limit)
    if text:
        begins = name.startswith(text, autoescape=True)
        word_begins = name.contains(f" {text}", autoescape=True)
        query = query.where(
            or_(name.contains(text, autoescape=True), Account.slug.contains(text, autoescape=True))
        )
        query = query.order_by(begins.desc(), word_begins.desc())
    return list(session.scalars(query.order_by(name, Account.id)))


def people_of_account(session: Session, account: Account) -> list[User]:
    """Everybody who may work in the account: for assigning, mentions, names of authors."""
    members = select(Membership.user_id).where(Membership.account_id == account.id)
    return list(
        session.scalars(
            select(User)
            .where(
                User.agency_id == account.agency_id,
                User.disabled_at.is_(None),
                or_(User.agency_role == "owner", User.id.in_(members)),
            )
            .order_by(func.lower(User.name), User.id)
        )
    )


def agency_owner_ids(session: Session, agency_id: uuid.UUID) -> list[uuid.UUID]:
    return list(
        session.scalars(
            select(User.id).where(
                User.agency_id == agency_id, User.agency_role == "owner", User.disabled_at.is_(None)
            )
        )
    )
