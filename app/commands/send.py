"""`levelhead send`: queues one text, as the composer does."""

import click
from sqlalchemy import func, select

from app.commands.start import Trouble, needs_runtime, the_account
from app.config import Settings
from app.core import tenancy
from app.domain import contacts, conversations, phones
from app.domain.sending import queue, senders

WORDS = {
    "queued": "Queued; it leaves as soon as the number has a turn.",
    "held": "Held.",
    "refused": "Not sent.",
    "scheduled": "Scheduled.",
}


@click.command()
@click.option("--account", "slug", required=True, metavar="SLUG", help="The account that sends.")
@click.option("--to", required=True, help="The customer's number.")
@click.option("--body", required=True, help="The words.")
@click.option(
    "--from", "from_number", help="One of the account's numbers. Default: the number they last wrote to."
)
@needs_runtime
def send(settings: Settings, slug: str, to: str, body: str, from_number: str | None) -> None:
    """Queue a text to a customer, with all rules of the inbox: consent, quiet hours, quota, pace."""
    with tenancy.session_for() as session:
        account = the_account(session, slug)
        tenancy.enter_account(session, account.id)
        try:
            number = phones.to_e164(to, account.country)
        except ValueError as error:
            raise Trouble(f"--to: {error}") from error
        session.execute(
            select(func.pg_advisory_xact_lock(func.hashtextextended(f"{account.id}|{number}", 0)))
        )
        contact = contacts.find_or_create_by_phone(session, account.id, number, source="command")
        conversation = conversations.for_contact(session, contact)
        sender = senders.sender_for(session, conversation)
        if from_number:
            known = {one.address: one for one in senders.senders_of(session, account.id)}
            sender = known.get(from_number)
            if sender is None:
                raise Trouble(f"--from: this account sends from {', '.join(known) or 'no number yet'}.")
        message = queue.queue_text(
            session, account, conversation, to=number, body=body, sender=sender, author_id=None
        )
        session.commit()
    click.echo(WORDS.get(message.state or "", message.state or ""))
    for step in message.trace:
        if step["outcome"] in ("hold", "refuse"):
            click.echo(f"  {step['text']} {step['next']}".rstrip())
    click.echo(f"Message {message.id}")
    if message.state == "refused":
        raise SystemExit(1)
