"""Rows for tests, made with as few words as possible. The cast: Ana owns the agency, Ben is her staff, Cleo works for
the client business, Dan is a stranger with an agency and an account of his own."""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from argon2 import PasswordHasher
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.core import tenancy
from app.core.actor import Actor
from app.core.clock import now
from app.models.account import Account
from app.models.agency import Agency
from app.models.contact import Contact, ContactPoint
from app.models.conversation import Conversation
from app.models.user import LoginSession, Membership, User
from app.web.identity import TOKEN, hash_token

PASSWORD = "correct horse battery"
_CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD_HASH = _CHEAP.hash(PASSWORD)


@dataclass
class Cast:
    agency: Agency
    account: Account
    ana: User
    ben: User
    cleo: User
    other_agency: Agency
    other_account: Account
    dan: User

    def actor(self, user: User) -> Actor:
        return Actor(user.agency_id, user.id, user.name)


def make_user(session: Session, agency: Agency, name: str, role: str | None = None) -> User:
    user = User(
        agency_id=agency.id,
        email=f"{name.split()[0].lower()}@{agency.name.lower().replace(' ', '-')}.test",
        name=name,
        password_hash=PASSWORD_HASH,
        agency_role=role,
    )
    session.add(user)
    session.flush()
    return user


def make_account(session: Session, agency: Agency, slug: str, **values: object) -> Account:
    account = Account(agency_id=agency.id, slug=slug, name=slug.replace("-", " ").title(), **values)
    session.add(account)
    session.flush()
    return account


def make_cast(session: Session) -> Cast:
    agency, other = Agency(name="North"), Agency(name="South")
    session.add_all([agency, other])
    session.flush()
    account = make_account(session, agency, "bright-dental", trade="Dentist")
    other_account = make_account(session, other, "dans-diner")
    ana = make_user(session, agency, "Ana Alves", "owner")
    ben = make_user(session, agency, "Ben Brook", "staff")
    cleo = make_user(session, agency, "Cleo Clark")
    dan = make_user(session, other, "Dan Dunn", "owner")
    session.add_all(
        [
            Membership(user_id=ben.id, account_id=account.id, role="staff"),
            Membership(user_id=cleo.id, account_id=account.id, role="user"),
        ]
    )
    session.commit()
    return Cast(agency, account, ana, ben, cleo, other, other_account, dan)


def sign_in(client: FlaskClient, user: User) -> FlaskClient:
    """A browser of that user, without the form."""
    token = secrets.token_urlsafe(16)
    with tenancy.session_for() as session:
        session.add(
            LoginSession(user_id=user.id, token_hash=hash_token(token), expires_at=now() + timedelta(days=1))
        )
        session.commit()
    with client.session_transaction() as cookie:
        cookie.clear()
        cookie[TOKEN] = token
    return client


def make_contact(
    account: Account, first_name: str = "Rosa", phone: str | None = "+14155550101", **values: object
) -> Contact:
    with tenancy.session_for(account.id) as session:
        contact = Contact(
            account_id=account.id,
            first_name=first_name,
            sort_name=first_name.lower(),
            search=f"{first_name.lower()} {phone or ''}",
            **values,
        )
        session.add(contact)
        session.flush()
        if phone:
            session.add(ContactPoint(account_id=account.id, contact_id=contact.id, kind="phone", value=phone))
        session.commit()
        return contact


def make_conversation(account: Account, contact: Contact, **values: object) -> Conversation:
    with tenancy.session_for(account.id) as session:
        conversation = Conversation(account_id=account.id, contact_id=contact.id, **values)
        session.add(conversation)
        session.commit()
        return conversation
