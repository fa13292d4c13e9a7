"""The checks of `levelhead doctor`: each looks at one thing and gives findings in words. None changes anything."""

import smtplib
from collections.abc import Iterable
from datetime import datetime, timedelta

import redis
from rq import Worker
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from app.commands import schema_checks, seal_checks
from app.commands.findings import BAD, OK, WARNING, Check, Finding, line
from app.core import runtime, smtp, tenancy
from app.core.clock import now
from app.core.jobs import QUEUES
from app.domain import connections
from app.models.account import Account
from app.models.connection import Connection
from app.models.mail import Mail
from app.models.outbox import OutboxEntry
from app.models.webhook_event import WebhookEvent

LATE = timedelta(minutes=5)


def look(name: str, check: Check) -> list[Finding]:
    """What the check found; one that cannot be made is a finding too."""
    try:
        return list(check())
    except SQLAlchemyError as error:
        return [Finding(name, BAD, "Could not be asked: " + line(error), "Mend Postgres first.")]
    except (redis.RedisError, OSError) as error:
        return [Finding(name, BAD, "Could not be asked: " + line(error), "Mend Redis first.")]


def postgres() -> Iterable[Finding]:
    with runtime.current().database.engine.connect() as connection:
        version = connection.scalar(text("show server_version"))
        yield Finding("Postgres", OK, f"version {version}")
        role = connection.execute(
            text("select rolname, rolsuper, rolbypassrls from pg_roles where rolname = current_user")
        ).one()
        owned = connection.scalar(
            text(
                "select count(*) from pg_class where relkind in ('r', 'p') and relowner = current_user::regrole"
            )
        )
    if role.rolsuper or role.rolbypassrls or owned:
        why = (
            "is superuser"
            if role.rolsuper
            else "ignores row-level security"
            if role.rolbypassrls
            else "owns tables"
        )
        yield Finding(
            "App role",
            BAD,
            f"{role.rolname} {why}: the fence between accounts does not bind it.",
            "Let DATABASE_URL name a role that owns nothing, such as levelhead_app.",
        )
    else:
        yield Finding("App role", OK, f"{role.rolname} owns nothing, so the fence between accounts binds it")


def redis_server() -> Iterable[Finding]:
    try:
        server = runtime.current().redis.info("server")
        memory = runtime.current().redis.info("memory")
    except (redis.RedisError, OSError) as error:
        yield Finding(
            "Redis",
            BAD,
            f"cannot be reached: {line(error)}",
            "Sending is paused until it is back; nothing is lost.",
        )
        return
    yield Finding("Redis", OK, f"version {server.get('redis_version', '?')}")
    if memory.get("maxmemory_policy", "noeviction") != "noeviction":
        yield Finding(
            "Redis memory",
            WARNING,
            f"throws keys away when full ({memory['maxmemory_policy']})",
            "Set maxmemory-policy to noeviction.",
        )


def storage() -> Iterable[Finding]:
    folder, key = runtime.current().settings.media_dir, "doctor/probe"
    try:
        runtime.current().storage.write(key, b"probe")
        runtime.current().storage.delete(key)
    except OSError as error:
        yield Finding(
            "Media folder", BAD, f"{folder}: {error.strerror}", "Make it writable, or set MEDIA_DIR."
        )
        return
    yield Finding("Media folder", OK, f"{folder} can be written")


def mail_server() -> Iterable[Finding]:
    url = runtime.current().settings.smtp_url
    if not url:
        yield Finding(
            "Mail", WARNING, "SMTP_URL is not set: invitations and resets are not mailed.", "Set SMTP_URL."
        )
        return
    try:
        server = smtp.parse(url)
        with smtp.connected(server) as connection:
            connection.noop()
    except (OSError, smtplib.SMTPException, ValueError) as error:
        yield Finding("Mail", BAD, f"the mail server did not answer: {line(error)}", "Check SMTP_URL.")
        return
    yield Finding("Mail", OK, f"{server.host}:{server.port} answers")


def workers() -> Iterable[Finding]:
    connection = runtime.current().redis
    alive: dict[str, int] = dict.fromkeys(QUEUES, 0)
    for worker in Worker.all(connection=connection):
        for name in worker.queue_names():
            if name in alive:
                alive[name] += 1
    missing = [name for name, count in alive.items() if not count]
    words = ", ".join(f"{name} {count}" for name, count in alive.items())
    if missing:
        yield Finding(
            "Workers",
            BAD,
            f"nobody works on {', '.join(missing)} ({words})",
            "Start them: python -m workers.boot",
        )
    else:
        yield Finding("Workers", OK, words)


def events() -> Iterable[Finding]:
    with tenancy.session_for() as session:
        oldest = session.scalar(
            select(func.min(WebhookEvent.created_at)).where(WebhookEvent.state.in_(["waiting", "working"]))
        )
        counts: dict[str, int] = {
            state: count
            for state, count in session.execute(
                select(WebhookEvent.state, func.count())
                .where(WebhookEvent.state.in_(["failed", "dead"]))
                .group_by(WebhookEvent.state)
            )
        }
    yield _waiting("Events", oldest, "no event waits")
    if counts.get("failed"):
        yield Finding("Failed events", WARNING, f"{counts['failed']:,} are tried again by themselves")
    if counts.get("dead"):
        yield Finding(
            "Dead events",
            BAD,
            f"{counts['dead']:,} were given up",
            "Mend the cause, then: levelhead replay --dead",
        )


def outbox() -> Iterable[Finding]:
    with tenancy.session_for() as session:
        oldest = session.scalar(
            select(func.min(OutboxEntry.run_at)).where(
                OutboxEntry.state == "waiting", OutboxEntry.run_at <= now()
            )
        )
        lost = session.scalar(select(func.count()).where(OutboxEntry.state == "checking")) or 0
    yield _waiting("Outgoing texts", oldest, "no text is late")
    if lost:
        yield Finding(
            "Lost answers", WARNING, f"{lost:,} texts: the provider is being asked what became of them"
        )


def mails() -> Iterable[Finding]:
    with tenancy.session_for() as session:
        oldest = session.scalar(
            select(func.min(Mail.run_at)).where(Mail.state == "waiting", Mail.run_at <= now())
        )
        failed = session.scalar(select(func.count()).where(Mail.state == "failed")) or 0
    yield _waiting("Mails", oldest, "no mail is late")
    if failed:
        yield Finding(
            "Failed mails", WARNING, f"{failed:,} could not be sent", "Check SMTP_URL and MAIL_FROM."
        )


def _waiting(name: str, oldest: datetime | None, nothing: str) -> Finding:
    if oldest is None:
        return Finding(name, OK, nothing)
    age = now() - oldest
    words = f"the oldest has been due for {int(age.total_seconds())} s"
    if age > LATE:
        return Finding(name, BAD, words, "Are workers and scheduler running?")
    return Finding(name, OK, words)


def provider_connections() -> Iterable[Finding]:
    with tenancy.session_for() as session:
        rows = session.execute(
            select(Connection.state, Connection.provider, Connection.last_error, Account.slug)
            .join(Account, Account.id == Connection.account_id)
            .where(Connection.state != "disconnected", Account.archived_at.is_(None))
            .order_by(Account.slug)
        ).all()
    if not rows:
        yield Finding(
            "Connections", WARNING, "no account is connected yet", "levelhead connect twilio --help"
        )
    well = [row for row in rows if row.state == "connected"]
    if well:
        yield Finding("Connections", OK, f"{len(well)} of {len(rows)} well")
    for row in rows:
        if row.state != "connected":
            yield Finding(
                f"{row.provider.capitalize()} of {row.slug}",
                BAD if row.state in connections.LOST else WARNING,
                row.last_error or row.state.replace("_", " "),
                f"{runtime.current().settings.public_url}{connections.page_of(row.slug)}",
            )


ALL: tuple[tuple[str, Check], ...] = (
    ("Postgres", postgres),
    ("Tables", schema_checks.tables),
    ("Fence", schema_checks.fence),
    ("Encryption keys", seal_checks.keys),
    ("Redis", redis_server),
    ("Media folder", storage),
    ("Mail", mail_server),
    ("Workers", workers),
    ("Events", events),
    ("Outgoing texts", outbox),
    ("Mails", mails),
    ("Connections", provider_connections),
)
