"""`levelhead create agency|account|user`: each may be run again; what is there already is kept, and changed where asked."""

import re
import sys
from dataclasses import fields
from datetime import time
from typing import Any

import click
from sqlalchemy import select

from app.commands.start import Trouble, actor_of, needs_runtime, the_account, the_agency
from app.config import Settings
from app.core import tenancy
from app.domain import accounts, founding
from app.domain.accounts import AccountFacts
from app.domain.invitations import Place
from app.models.account import BRAND_COLOURS, Account
from app.models.agency import Agency

NO_QUIET_HOURS = (None, None)


class QuietHours(click.ParamType[Any]):
    name = "HH:MM-HH:MM"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        if value.lower() in ("off", "none", ""):
            return NO_QUIET_HOURS
        found = re.fullmatch(r"(\d{1,2}:\d\d)\s*[-–]\s*(\d{1,2}:\d\d)", value.strip())
        try:
            if found:
                begin, end = (time.fromisoformat(part.zfill(5)) for part in found.groups())
                return begin, end
        except ValueError:
            pass
        return self.fail("Write them like 21:00-08:00, or off.", param, ctx)


@click.group()
def create() -> None:
    """Make an agency, an account (a client business) or a user."""


@create.command("agency")
@click.argument("name")
@needs_runtime
def create_agency(settings: Settings, name: str) -> None:
    """Make the agency NAME: it owns the accounts and employs the staff."""
    with tenancy.session_for() as session:
        found, is_new = founding.agency(session, name, "Command line")
        session.commit()
    click.echo(f"Made the agency {found.name}." if is_new else f"The agency {found.name} is there already.")


@create.command("account")
@click.argument("name")
@click.option("--agency", help="Name of the agency; needed only when there are several.")
@click.option(
    "--slug", help="The account's name in addresses: small letters, digits, hyphens. Default: from NAME."
)
@click.option("--trade", help="What the business does, for example Dentist.")
@click.option("--address", help="Where it is.")
@click.option("--country", help="ISO code, for numbers written without one. Default: US.")
@click.option("--timezone", help="For example America/Chicago. Default: America/New_York.")
@click.option("--locale", help="How dates and numbers are written. Default: en_US.")
@click.option("--currency", help="ISO code. Default: USD.")
@click.option("--brand-colour", type=click.Choice(BRAND_COLOURS), help="Default: teal.")
@click.option(
    "--quiet-hours",
    type=QuietHours(),
    help="Texts wait in these hours, where the contact is: 21:00-08:00, or off. Default: off.",
)
@click.option(
    "--quiet-reply-minutes", type=int, help="An answer within so many minutes is not held. Default: 60."
)
@click.option("--daily-message-quota", type=int, help="Texts a day. Default: 5000.")
@click.option("--messages-per-second", type=int, help="For all numbers together. Default: 10.")
@needs_runtime
def create_account(settings: Settings, name: str, agency: str | None, **given: Any) -> None:
    """Make the account NAME, a client business of the agency.

    When there is one with that slug already, the options that are given change it.
    """
    quiet = given.pop("quiet_hours")
    given = {key: value for key, value in given.items() if value is not None}
    if quiet is not None:
        given["quiet_from"], given["quiet_until"] = quiet
    with tenancy.session_for() as session:
        owner = the_agency(session, agency)
        actor = actor_of(owner)
        slug = given.get("slug") or accounts.suggest_slug(name)
        found = session.scalar(select(Account).where(Account.slug == slug))
        if found is None:
            quiet_off = {"quiet_from": None, "quiet_until": None}
            found = accounts.create(
                session, actor, AccountFacts(**quiet_off | {"name": name} | given | {"slug": slug})
            )
            words = f"Made the account {found.name} ({found.slug})."
        elif found.agency_id != owner.id:
            raise Trouble(
                f"The slug {slug} is taken by another agency's account. Choose another with --slug."
            )
        else:
            now_is = {f.name: getattr(found, f.name) for f in fields(AccountFacts)}
            changed = accounts.change(session, actor, found, AccountFacts(**now_is | given | {"name": name}))
            what = f"; changed: {', '.join(changed)}" if changed else ""
            words = f"The account {found.name} ({found.slug}) is there already{what}."
        session.commit()
    click.echo(words)
    click.echo(f"{settings.public_url}/a/{found.slug}/inbox")


@create.command("user")
@click.argument("email")
@click.option("--name", default="", help="What the others call them. Default: from the address.")
@click.option("--agency", help="Name of the agency; needed only when there are several.")
@click.option(
    "--agency-owner", "agency_role", flag_value="owner", help="Owns the agency: enters every account."
)
@click.option(
    "--agency-staff", "agency_role", flag_value="staff", help="The agency's, on the accounts given."
)
@click.option(
    "--account", "slugs", multiple=True, metavar="SLUG", help="May enter this account; may be repeated."
)
@click.option(
    "--role", type=click.Choice(["admin", "user"]), default="user", help="In those accounts. Default: user."
)
@click.option(
    "--password", help="Without it a link is printed with which they choose one. - reads it from stdin."
)
@needs_runtime
def create_user(
    settings: Settings,
    email: str,
    name: str,
    agency: str | None,
    agency_role: str | None,
    slugs: tuple[str, ...],
    role: str,
    password: str | None,
) -> None:
    """Make somebody who can sign in with EMAIL.

    For somebody who is there already, accounts and roles are added, and the password is set when one is given.
    """
    if password == "-":
        password = sys.stdin.readline().strip()
    if agency_role is None and not slugs:
        raise Trouble("Say what they may enter: --agency-owner, or --account SLUG (may be repeated).")
    with tenancy.session_for() as session:
        places = [Place(the_account(session, slug), role) for slug in slugs]
        owner = _agency_of(session, agency, places)
        made = founding.person(
            session,
            actor_of(owner),
            email=email,
            name=name,
            agency_role=agency_role,
            places=places,
            password=password or "",
        )
        session.commit()
    click.echo(
        f"Made {made.user.name} <{made.user.email}>."
        if made.is_new
        else f"{made.user.email} is there already."
    )
    if made.link:
        click.echo(f"They choose a password here, within seven days: {made.link}")
    else:
        click.echo(f"Sign in: {settings.public_url}/sign-in")


def _agency_of(session: Any, name: str | None, places: list[Place]) -> Any:
    ids = {place.account.agency_id for place in places}
    owner = the_agency(session, name) if name or not ids else None
    if len(ids) > 1 or (owner is not None and ids - {owner.id}):
        raise Trouble("These accounts belong to different agencies.")
    if owner is not None:
        return owner
    return session.get_one(Agency, ids.pop())
