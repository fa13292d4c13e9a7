"""What every command shares: settings and runtime at its begin, plain sentences for what goes wrong, who acts."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click
import redis
from sqlalchemy import select
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from app.config import ConfigError, Settings, load
from app.core import logs, runtime
from app.core.actor import Actor
from app.core.errors import Forbidden, Invalid, NotFound, ProviderError
from app.models.account import Account
from app.models.agency import Agency

Command = TypeVar("Command", bound=Callable[..., Any])
ACTS_AS = "Command line"


class Trouble(click.ClickException):
    """Shown as it is, without "Error:" before it."""

    def show(self, file: Any = None) -> None:
        click.echo(self.message, err=True)


class FriendlyGroup(click.Group):
    """Turns the house's errors into sentences."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            raise Trouble(str(error)) from error
        except Invalid as error:
            raise Trouble("\n".join(_sentence(name, text) for name, text in error.fields.items())) from error
        except ProviderError as error:
            raise Trouble(error.sentence) from error
        except (NotFound, Forbidden) as error:
            raise Trouble(str(error) or "There is no such thing.") from error
        except OperationalError as error:
            raise Trouble(f"Postgres cannot be reached: {_first_line(error)}") from error
        except ProgrammingError as error:
            raise Trouble(
                f"The database is not as expected: {_first_line(error)}\nTry: levelhead migrate"
            ) from error
        except redis.RedisError as error:
            raise Trouble(f"Redis cannot be reached: {error}") from error


def _sentence(name: str, text: str) -> str:
    return f"--{name.replace('_', '-')}: {text}" if name else text


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]


def needs_runtime(command: Command) -> Command:
    """Installs the runtime for the command and pushes its bells at the end; the command gets the settings first."""

    @functools.wraps(command)
    def run(*args: Any, **values: Any) -> Any:
        settings = load()
        start(settings)
        try:
            return command(settings, *args, **values)
        finally:
            runtime.current().close()

    return run  # type: ignore[return-value]


def start(settings: Settings) -> None:
    logs.set_up("WARNING", for_people=True)
    runtime.install(runtime.build(settings, pool_size=2))


def actor_of(agency: Agency) -> Actor:
    return Actor(agency.id, None, ACTS_AS)


def the_agency(session: Session, name: str | None) -> Agency:
    """The agency of that name; without a name the only one there is. Raises Trouble."""
    found = session.scalars(select(Agency).order_by(Agency.created_at)).all()
    if name:
        for agency in found:
            if agency.name.casefold() == name.casefold():
                return agency
        raise Trouble(f"There is no agency called {name}. Make it: levelhead create agency “{name}”")
    if not found:
        raise Trouble('There is no agency yet. Make one: levelhead create agency "Your agency"')
    if len(found) > 1:
        names = ", ".join(agency.name for agency in found)
        raise Trouble(f"There are several agencies ({names}). Say which one with --agency.")
    return found[0]


def the_account(session: Session, slug: str) -> Account:
    """Raises Trouble."""
    account = session.scalar(select(Account).where(Account.slug == slug))
    if account is not None:
        return account
    known = session.scalars(select(Account.slug).order_by(Account.slug).limit(20)).all()
    raise Trouble(f"There is no account {slug}. Known: {', '.join(known) or 'none yet'}.")
