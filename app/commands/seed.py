"""`levelhead seed --demo`: a believable agency with three client businesses and a month of conversations.

Everything goes through the verbs that the pages use; see demo/telling.py and domain/past.py. A run that was broken off can
be run again and goes on: each account is filled in one transaction.
"""

import random
from datetime import timedelta

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.commands.demo import bookables, google, scripts, simulator, telling
from app.commands.demo.businesses import AGENCY, BUSINESSES, PASSWORD, PEOPLE, Business
from app.commands.demo.scripts import Line, Script
from app.commands.demo.telling import Stage
from app.commands.start import Trouble, actor_of, needs_runtime
from app.config import Settings
from app.core import tenancy
from app.core.actor import Actor
from app.core.clock import now
from app.domain import accounts, connections, custom_fields, founding, passwords, snippets
from app.domain.invitations import Place
from app.domain.sending import senders
from app.domain.sending.reports import ErrorWords
from app.integrations import connect, registry
from app.models.account import Account
from app.models.agency import Agency
from app.models.connection import Connection
from app.models.contact import Contact
from app.models.user import User

TIMES = ("8:30 AM", "9:15 AM", "10:00 AM", "11:40 AM", "1:30 PM", "2:45 PM", "4:10 PM")


@click.command()
@click.option("--demo", is_flag=True, required=True, help="The demo agency Northwind Local.")
@click.option("--if-empty", is_flag=True, help="Do nothing when there is an agency of somebody else's.")
@needs_runtime
def seed(settings: Settings, demo: bool, if_empty: bool) -> None:
    """Fill an empty installation with a demo agency, its people and a month of conversations."""
    if settings.env == "production":
        raise Trouble("The demo's people have a known password: production is not the place for them.")
    if not settings.simulator_url:
        raise Trouble(
            "The demo needs the provider simulator: start it with ./run demo, or set SIMULATOR_URL."
        )
    with tenancy.session_for() as session:
        others = session.scalars(select(Agency.name).where(Agency.name != AGENCY)).first()
        if if_empty and others:
            click.echo(f"There is an agency already ({others}); nothing was done.")
            return
        agency, _ = founding.agency(session, AGENCY, "Demo")
        actor = actor_of(agency)
        places = {business.facts.slug: _account(session, actor, business) for business in BUSINESSES}
        people = _people(session, actor, places)
        session.commit()
    for person in PEOPLE:
        home = places[person.places[0][0]] if person.places else places[BUSINESSES[0].facts.slug]
        simulator.register_google_account(settings.simulator_url, person, home.timezone)
    for business in BUSINESSES:
        simulator.register_account(settings.simulator_url, business)
        fill(settings, actor, places[business.facts.slug], business, people)
        offer_bookings(settings, actor, places[business.facts.slug], business, people)
    click.echo(f"The demo agency {AGENCY} is there: {len(BUSINESSES)} businesses, {len(PEOPLE)} people.")


def _account(session: Session, actor: Actor, business: Business) -> Account:
    found = session.scalar(select(Account).where(Account.slug == business.facts.slug))
    return found or accounts.create(session, actor, business.facts)


def _people(session: Session, actor: Actor, places: dict[str, Account]) -> dict[str, User]:
    found = {}
    for person in PEOPLE:
        known = session.scalar(select(User).where(User.email == person.email))
        found[person.key] = (
            known
            or founding.person(
                session,
                actor,
                email=person.email,
                name=person.name,
                agency_role=person.agency_role,
                places=[Place(places[slug], role) for slug, role in person.places],
            ).user
        )
        if found[person.key].password_hash is None:
            found[person.key].password_hash = passwords.hash_password(PASSWORD)
    return found


def fill(
    settings: Settings, actor: Actor, account: Account, business: Business, people: dict[str, User]
) -> None:
    """Connects the account and writes its month, unless it has contacts already."""
    chance = random.Random(f"7 {business.facts.slug}")
    with tenancy.session_for() as session:
        connection = _connect(session, actor, account, business)
        session.commit()
        tenancy.enter_account(session, account.id)
        if session.scalar(select(Contact.id).limit(1)) is not None:
            return
        for shortcut, title, body in business.snippets:
            snippets.save(session, None, shortcut=shortcut, title=title, body=body, user_id=None)
        fields = [
            custom_fields.create(session, actor, label=label, kind=kind, options=list(options))
            for label, kind, options in business.fields
        ]
        adapter = registry.adapter_for("twilio")
        stage = Stage(
            session,
            account,
            business,
            connection,
            senders.senders_of(session, account.id),
            people,
            fields,
            ErrorWords(adapter.explain, adapter.retry_helps),
            chance,
        )
        play = scripts.read(business.facts.slug)
        reminded = [remind(stage, script, play.reminder) for script in play.reminded]
        for number, script in enumerate([*play.threads, *reminded]):
            phone = f"+1{business.area_codes[number % len(business.area_codes)]}55501{number + 1:02d}"
            telling.tell(stage, script, phone)
            if "handset" in script.flags:
                simulator.register_handset(settings.simulator_url, phone, script.name, business)
        session.commit()


def offer_bookings(
    settings: Settings, actor: Actor, account: Account, business: Business, people: dict[str, User]
) -> None:
    """Connects the hosts' calendars at Google, then opens the books of the business."""
    if google.is_played(settings):
        for key in bookables.hosts_of(business):
            with tenancy.session_for() as session:
                google.connect(session, account, people[key])
    with tenancy.session_for() as session:
        tenancy.enter_account(session, account.id)
        bookables.open_books(session, actor, account, business, people)
        session.commit()


def _connect(session: Session, actor: Actor, account: Account, business: Business) -> Connection:
    for known in connections.connections_of(session, account.id):
        if known.external_ref == business.account_sid:
            return known
    made = connect.connect(
        session,
        actor,
        account,
        "twilio",
        {"account_sid": business.account_sid, "auth_token": business.auth_token},
    )
    failed = [str(check["text"]) for check in made.checks if not check["ok"]]
    if failed:
        raise Trouble(f"{business.facts.name} could not be connected: {failed[0]}")
    return made


def remind(stage: Stage, script: Script, reminder: list[Line]) -> Script:
    """The account's reminder for somebody, with or without an answer."""
    chance = stage.chance
    days = chance.randint(2, 27)
    script.begins = f"{days}d {chance.randint(9, 16):02d}:{chance.randint(0, 59):02d}"
    visit = now().astimezone(stage.account.zone) + timedelta(days=2 - days)
    words = {"first": script.name.split()[0], "day": f"{visit:%A}", "time": chance.choice(TIMES)}
    answered = chance.random() < 0.75
    for line in reminder if answered else reminder[:1]:
        script.lines.append(Line(line.kind, line.text.format(**words)))
        if len(script.lines) == 1 and answered:
            script.lines.append(Line("pause", extra=f"{chance.randint(4, 170)}m"))
    if answered and days > 9:
        script.lines.append(Line("closed"))
    return script
