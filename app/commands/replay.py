"""`levelhead replay`: puts stored events of providers back to be handled anew. Handling is repeat-proof."""

import uuid
from datetime import UTC, datetime, timedelta

import click
from sqlalchemy import Select, func, select

from app.commands.start import Trouble, needs_runtime, the_account
from app.config import Settings
from app.core import tenancy
from app.core.clock import now
from app.domain import webhooks
from app.models.webhook_event import WebhookEvent

AT_ONCE = 500


class Since(click.ParamType[datetime]):
    name = "WHEN"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        text = str(value).strip()
        units = {"m": "minutes", "h": "hours", "d": "days"}
        if text[:-1].isdigit() and text[-1:] in units:
            return now() - timedelta(**{units[text[-1]]: int(text[:-1])})
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            self.fail("Write 30m, 12h, 7d, or a time like 2026-03-14T09:00.", param, ctx)
        return found if found.tzinfo else found.replace(tzinfo=UTC)


@click.command()
@click.argument("event_ids", nargs=-1, type=click.UUID)
@click.option("--failed", is_flag=True, help="Those that failed and will be tried again anyway.")
@click.option("--dead", is_flag=True, help="Those that were given up.")
@click.option("--done", is_flag=True, help="Those that were handled: nothing is done twice.")
@click.option("--since", type=Since(), help="Only those that came since: 30m, 12h, 7d or a time (UTC).")
@click.option("--provider", help="Only this provider's, for example twilio.")
@click.option("--account", "slug", metavar="SLUG", help="Only this account's.")
@click.option("--yes", is_flag=True, help="Do it without asking.")
@needs_runtime
def replay(
    settings: Settings,
    event_ids: tuple[uuid.UUID, ...],
    failed: bool,
    dead: bool,
    done: bool,
    since: datetime | None,
    provider: str | None,
    slug: str | None,
    yes: bool,
) -> None:
    """Handle stored events of providers again: the EVENT_IDS given, or all that fit the options.

    Shows how many there are and asks before it does anything.
    """
    states = [name for name, wanted in (("failed", failed), ("dead", dead), ("done", done)) if wanted]
    if not event_ids and not states:
        raise Trouble("Say which: ids of events, --failed, --dead or --done.")
    with tenancy.session_for() as session:
        query: Select[uuid.UUID] = select(WebhookEvent.id).where(WebhookEvent.payload.is_not(None))
        if event_ids:
            query = query.where(WebhookEvent.id.in_(event_ids))
        if states:
            query = query.where(WebhookEvent.state.in_(states))
        if since:
            query = query.where(WebhookEvent.created_at >= since)
        if provider:
            query = query.where(WebhookEvent.provider == provider)
        if slug:
            query = query.where(WebhookEvent.account_id == the_account(session, slug).id)
        count = session.scalar(select(func.count()).select_from(query.subquery())) or 0
        if not count:
            click.echo("No event fits.")
            return
        words = "1 event" if count == 1 else f"{count:,} events"
        if not yes and not click.confirm(f"Handle {words} again?"):
            raise Trouble("Nothing was done.")
        ids = list(session.scalars(query.order_by(WebhookEvent.position)))
        put_back = 0
        for start in range(0, len(ids), AT_ONCE):
            put_back += webhooks.replay(session, ids[start : start + AT_ONCE])
            session.commit()
    click.echo(f"Put back {put_back:,} of {words}. The workers handle them now.")
