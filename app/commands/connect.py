"""`levelhead connect`: Twilio with the same steps as on the connections page, each printed; for Google, where to go."""

import re
import sys

import click

from app.commands.start import Trouble, actor_of, needs_runtime, the_account
from app.config import Settings
from app.core import tenancy
from app.integrations import connect as connecting
from app.integrations import registry
from app.models.agency import Agency
from app.models.connection import Connection

STEPS = {
    "credentials": "Credentials",
    "address": "Public address",
    "numbers": "Numbers",
    "webhooks": "Webhook addresses",
}


@click.group()
def connect() -> None:
    """Connect an account to a provider."""


@connect.command("twilio")
@click.option("--account", "slug", required=True, metavar="SLUG", help="The account in Levelhead.")
@click.option("--account-sid", required=True, help="Twilio's Account SID: AC and 32 letters and digits.")
@click.option(
    "--auth-token",
    envvar="TWILIO_AUTH_TOKEN",
    show_envvar=True,
    required=True,
    help="Twilio's auth token; - reads it from stdin, so that it does not stand in the shell's history.",
)
@click.option("--api-key-sid", default="", help="Send with an API key (SK…) instead of the auth token.")
@click.option(
    "--api-key-secret",
    envvar="TWILIO_API_KEY_SECRET",
    show_envvar=True,
    default="",
    help="The API key's secret. The auth token is needed as well: Twilio signs its calls to us with it.",
)
@click.option("--messaging-service", default=None, metavar="MG…", help="Send through this Messaging Service.")
@needs_runtime
def connect_twilio(
    settings: Settings,
    slug: str,
    account_sid: str,
    auth_token: str,
    api_key_sid: str,
    api_key_secret: str,
    messaging_service: str | None,
) -> None:
    """Connect an account to Twilio and set its numbers' webhook addresses.

    Run it again to go on where it stopped, or with new credentials. Ends with exit code 1 when a step failed.
    """
    if auth_token == "-":
        auth_token = sys.stdin.readline().strip()
    credentials = {"account_sid": account_sid.strip(), "auth_token": auth_token.strip()}
    if api_key_sid or api_key_secret:
        credentials |= {"api_key_sid": api_key_sid.strip(), "api_key_secret": api_key_secret.strip()}
    _check(credentials, messaging_service)
    with tenancy.session_for() as session:
        account = the_account(session, slug)
        agency = session.get_one(Agency, account.agency_id)
        made = connecting.connect(
            session, actor_of(agency), account, "twilio", credentials, messaging_service or None
        )
    show_steps(made)


@connect.command("google")
@click.option("--account", "slug", required=True, metavar="SLUG", help="The account in Levelhead.")
@needs_runtime
def connect_google(settings: Settings, slug: str) -> None:
    """Print where a Google account is connected: that needs a browser, and somebody signed in there."""
    provider = registry.oauth_provider("google")
    with tenancy.session_for() as session:
        account = the_account(session, slug)
    if not provider.is_set_up:
        raise Trouble(
            "GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET are not set; see docs/guides/google.md. The redirect address of the "
            f"client is {provider.redirect_uri}"
        )
    click.echo(f"Open {settings.public_url}/a/{account.slug}/connect/google")


def _check(credentials: dict[str, str], service: str | None) -> None:
    shapes = {
        "account_sid": (
            "AC",
            "--account-sid is AC and 32 letters and digits; it stands on Twilio's console page.",
        ),
        "api_key_sid": ("SK", "--api-key-sid is SK and 32 letters and digits."),
    }
    for name, (prefix, sentence) in shapes.items():
        if name in credentials and not re.fullmatch(prefix + "[0-9a-fA-F]{32}", credentials[name]):
            raise Trouble(sentence)
    if not credentials["auth_token"]:
        raise Trouble("The auth token is empty.")
    if "api_key_sid" in credentials and not credentials["api_key_secret"]:
        raise Trouble("--api-key-sid needs --api-key-secret as well.")
    if service and not re.fullmatch("MG[0-9a-fA-F]{32}", service):
        raise Trouble("--messaging-service is MG and 32 letters and digits.")


def show_steps(connection: Connection) -> None:
    """Raises SystemExit(1) when a step failed."""
    for check in connection.checks:
        click.echo(
            f"{'✓' if check['ok'] else '✗'} {STEPS.get(check['step'], check['step'])}: {check['text']}"
        )
    for sender in connection.senders:
        if sender.state == "active":
            click.echo(f"  {sender.address}{' (default)' if sender.is_default else ''}")
    if not all(check["ok"] for check in connection.checks):
        click.echo("Not everything worked. Mend what is named and run this again.", err=True)
        raise SystemExit(1)
    click.echo(f"{connection.name} is connected.")
