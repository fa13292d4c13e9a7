"""Passwords: hashing, signing in by one, changing it, choosing a new one by a mailed link.

Argon2id with the parameters of OWASP's password storage cheat sheet (19 MiB, two passes). A wrong address costs as much
time as a wrong password, and both get the same answer. Each verb notes what it did; the caller commits.
"""

import uuid

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core import formats, runtime
from app.core.actor import Actor
from app.core.clock import now
from app.core.errors import Invalid
from app.domain import audit, mail_links, mails, sessions
from app.models.agency import Agency
from app.models.user import User

SHORTEST = 10
LONGEST = 200
# Long enough to pass, and tried first by everybody who guesses.
COMMON = {"password", "passwort", "1234567890", "qwertyuiop", "letmein", "iloveyou", "welcome", "levelhead"}

_hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
# Same parameters, no password fits: what is checked when there is nobody to check.
_NOBODY = f"$argon2id$v=19$m=19456,t=2,p=1${'A' * 22}${'A' * 43}"


def hash_password(password: str) -> str:
    return _hasher.hash(password)


def fits(password_hash: str | None, password: str) -> bool:
    """Takes the same time whether or not there is a hash."""
    try:
        return _hasher.verify(password_hash or _NOBODY, password[: LONGEST + 1])
    except (VerificationError, InvalidHashError):
        return False


def check_new(password: str, *, email: str = "", name: str = "", field: str = "password") -> None:
    """Raises Invalid with a sentence for `field`."""
    lowered = password.lower()
    if len(password) < SHORTEST:
        raise Invalid(
            {field: f"Use {SHORTEST} characters or more. A few words in a row are easy to keep in mind."}
        )
    if len(password) > LONGEST:
        raise Invalid({field: f"Use {LONGEST} characters or fewer."})
    guessable = {email.lower(), email.lower().partition("@")[0], name.lower(), name.lower().replace(" ", "")}
    stripped = lowered.strip("0123456789!.?*-_ ")
    if lowered in guessable | COMMON or stripped in COMMON or len(set(lowered)) < 4:
        raise Invalid({field: "That one is guessed too easily. Choose something only you would think of."})


def normal_email(text: str) -> str:
    return text.strip().lower()


def sign_in(session: Session, email: str, password: str, ip: str) -> User | None:
    """The person, when address and password fit and they are not disabled. Notes either outcome."""
    email = normal_email(email)
    user = session.scalar(select(User).where(User.email == email))
    right = fits(user.password_hash if user else None, password)
    if user is None or not right or user.disabled_at is not None:
        note_failed(session, user, email, ip, "user.sign_in_failed")
        return None
    if user.password_hash and _hasher.check_needs_rehash(user.password_hash):
        user.password_hash = hash_password(password)
    user.last_seen_at = now()
    audit.note(session, Actor(user.agency_id, user.id, user.name, ip), "user.signed_in", user.email)
    return user


def note_throttled(session: Session, email: str, ip: str) -> None:
    email = normal_email(email)
    user = session.scalar(select(User).where(User.email == email))
    note_failed(session, user, email, ip, "user.sign_in_throttled")


def note_failed(session: Session, user: User | None, email: str, ip: str, action: str) -> None:
    """A try with an unknown address is shown to the agency that runs the installation, which is the first one."""
    agency_id: uuid.UUID | None = user.agency_id if user else None
    if agency_id is None:
        agency_id = session.scalar(select(Agency.id).order_by(Agency.created_at, Agency.id).limit(1))
    if agency_id is None:
        return
    who = Actor(agency_id, user.id if user else None, user.name if user else "Somebody", ip)
    audit.note(session, who, action, email[:200], known=user is not None)


def change(session: Session, actor: Actor, user: User, *, current: str, new: str, keep: uuid.UUID) -> None:
    """Ends every other session but `keep`. Raises Invalid for the fields `current` and `new`."""
    if not fits(user.password_hash, current):
        raise Invalid({"current": "That is not your current password."})
    check_new(new, email=user.email, name=user.name, field="new")
    user.password_hash = hash_password(new)
    sessions.end_all(session, user.id, but=keep)
    mail_links.revoke(session, user.id)
    audit.note(session, actor, "user.password_changed", user.email)
    _tell(session, user)


def ask_reset(session: Session, email: str, ip: str) -> None:
    """Mails a link when somebody with that address can use one; says nothing to the caller either way."""
    email = normal_email(email)
    user = session.scalar(select(User).where(User.email == email, User.disabled_at.is_(None)))
    note_failed(session, user, email, ip, "user.reset_asked")
    if user is None or user.password_hash is None:
        # The same work as below, so that the clock does not tell who is known.
        mails.write("reset", name="nobody", url=runtime.current().settings.public_url)
        return
    letter = mails.write("reset", name=_first_name(user), url=mail_links.make(session, user, "reset"))
    mails.queue_mail(
        session,
        agency_id=user.agency_id,
        recipient=user.email,
        subject="Choose a new Levelhead password",
        kind="reset",
        body_text=letter.text,
        body_html=letter.html,
        user_id=user.id,
    )


def reset(session: Session, token: str, password: str, ip: str) -> User | None:
    """Uses the link up, sets the password, signs the person out everywhere. None when the link is no longer good."""
    user = mail_links.owner_of(session, token, "reset")
    if user is None:
        return None
    check_new(password, email=user.email, name=user.name)
    user = mail_links.use(session, token, "reset")
    if user is None:
        return None
    user.password_hash = hash_password(password)
    sessions.end_all(session, user.id)
    mail_links.revoke(session, user.id)
    audit.note(session, Actor(user.agency_id, user.id, user.name, ip), "user.password_reset", user.email)
    _tell(session, user)
    return user


def _tell(session: Session, user: User) -> None:
    settings = runtime.current().settings
    at = formats.date_and_time(now(), formats.UTC_ZONE, formats.locale_of("en_US"))
    letter = mails.write(
        "password_changed", name=_first_name(user), at=at, url=f"{settings.public_url}/reset"
    )
    mails.queue_mail(
        session,
        agency_id=user.agency_id,
        recipient=user.email,
        subject="Your Levelhead password was changed",
        kind="password_changed",
        body_text=letter.text,
        body_html=letter.html,
        user_id=user.id,
    )


def _first_name(user: User) -> str:
    return (user.name.split() or ["there"])[0]
