"""Snippets: texts kept for reuse, and the variables in them.

A variable is {{contact.first_name}} and the like. It is filled in when the snippet is put into the composer, so that
the person sees what will be sent; one that has no value stays as it is and is named before sending.
"""

import re
import uuid
from dataclasses import dataclass

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from app.core.errors import Invalid, NotFound
from app.core.folding import like_literal
from app.core.tenancy import entered_account
from app.models.account import Account
from app.models.contact import Contact, CustomField
from app.models.conversation import Snippet
from app.models.user import User

VARIABLE = re.compile(r"\{\{\s*([a-z0-9_.]*)\s*\}\}", re.IGNORECASE)
SHORTCUT = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
LONGEST = 1600

VARIABLES = (
    ("contact.first_name", "The contact's first name"),
    ("contact.last_name", "The contact's last name"),
    ("contact.company", "The contact's company"),
    ("account.name", "The name of this business"),
    ("user.first_name", "The first name of whoever sends it"),
)


@dataclass(frozen=True)
class Filled:
    """A snippet ready to be put in; `missing` are the variables without a value."""

    snippet: Snippet
    body: str
    missing: list[str]


def values_for(contact: Contact | None, account: Account, user: User) -> dict[str, str]:
    """Every variable that has a value."""
    values = {"account.name": account.name, "user.first_name": user.name.split(" ")[0]}
    if contact is not None:
        values |= {
            "contact.first_name": contact.first_name,
            "contact.last_name": contact.last_name,
            "contact.company": contact.company,
        }
        values |= {f"contact.custom.{key}": str(value) for key, value in contact.custom.items() if value}
    return {name: value for name, value in values.items() if value}


def fill(body: str, values: dict[str, str]) -> str:
    return VARIABLE.sub(lambda found: values.get(found[1].lower(), found[0]), body)


def missing(body: str) -> list[str]:
    """The names of variables that still stand in a text, each once; "{{" alone counts as one without a name."""
    found = list(dict.fromkeys(name.lower() for name in VARIABLE.findall(body)))
    return found or (["{{"] if "{{" in body else [])


def search(session: Session, words: str, limit: int = 200) -> list[Snippet]:
    """By shortcut, title and text; those whose shortcut begins with the words first."""
    needle = words.strip().lower().lstrip("/")
    query = select(Snippet).limit(limit)
    if not needle:
        return list(session.scalars(query.order_by(Snippet.shortcut)))
    like = like_literal(needle)
    contains = f"%{like}%"
    starts = Snippet.shortcut.like(f"{like}%")
    return list(
        session.scalars(
            query.where(
                or_(
                    Snippet.shortcut.like(contains),
                    func.lower(Snippet.title).like(contains),
                    func.lower(Snippet.body).like(contains),
                )
            ).order_by(starts.desc(), Snippet.shortcut)
        )
    )


def filled(snippets: list[Snippet], values: dict[str, str]) -> list[Filled]:
    texts = [(snippet, fill(snippet.body, values)) for snippet in snippets]
    return [Filled(snippet, body, missing(body)) for snippet, body in texts]


def custom_variables(session: Session) -> list[tuple[str, str]]:
    """The account's own fields as variables."""
    fields = session.scalars(select(CustomField).order_by(CustomField.position, CustomField.label))
    return [(f"contact.custom.{field.key}", field.label) for field in fields]


def save(
    session: Session,
    snippet: Snippet | None,
    *,
    shortcut: str,
    title: str,
    body: str,
    user_id: uuid.UUID | None,
) -> Snippet:
    """Makes or changes a snippet. Raises Invalid with a sentence for each field; the caller commits."""
    shortcut = shortcut.strip().lstrip("/").lower()
    problems: dict[str, str] = {}
    if not SHORTCUT.fullmatch(shortcut):
        problems["shortcut"] = "Use letters, digits, - and _ only, 40 at most, like thanks or opening-hours."
    if not body.strip():
        problems["body"] = "Write the text of the snippet."
    elif len(body) > LONGEST:
        problems["body"] = f"A text can have {LONGEST:,} characters; this has {len(body):,}."
    same = session.scalar(select(Snippet).where(Snippet.shortcut == shortcut))
    if same is not None and same is not snippet:
        problems["shortcut"] = f"/{shortcut} is already taken. Choose another."
    if problems:
        raise Invalid(problems)
    if snippet is None:
        snippet = Snippet(account_id=entered_account(session), created_by=user_id)
        session.add(snippet)
    snippet.shortcut, snippet.title, snippet.body = shortcut, title.strip()[:120], body.strip()
    session.flush()
    return snippet


def get(session: Session, snippet_id: uuid.UUID) -> Snippet:
    found = session.scalar(select(Snippet).where(Snippet.id == snippet_id))
    if found is None:
        raise NotFound
    return found


def delete(session: Session, snippet_id: uuid.UUID) -> Snippet:
    """Removes it and gives back what it said, so that it can be put back."""
    found = get(session, snippet_id)
    session.delete(found)
    session.flush()
    return found
