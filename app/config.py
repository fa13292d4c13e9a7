"""Settings, read once from the environment; every problem is named at once.

Nothing else in the project reads os.environ. Provider hosts are settings too, so that the product can be pointed at
any provider, real or played; plain http is accepted for loopback hosts only.
"""

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

ENVIRONMENTS = ("production", "local", "demo", "test")

HOSTS: dict[str, str] = {
    "TWILIO_API_BASE_URL": "https://api.twilio.com",
    "TWILIO_MESSAGING_BASE_URL": "https://messaging.twilio.com",
    "TWILIO_TRUSTHUB_BASE_URL": "https://trusthub.twilio.com",
    "TWILIO_LOOKUPS_BASE_URL": "https://lookups.twilio.com",
    "TWILIO_PRICING_BASE_URL": "https://pricing.twilio.com",
    "TWILIO_NUMBERS_BASE_URL": "https://numbers.twilio.com",
    "STRIPE_API_BASE_URL": "https://api.stripe.com",
    "STRIPE_CONNECT_BASE_URL": "https://connect.stripe.com",
    "GOOGLE_ACCOUNTS_BASE_URL": "https://accounts.google.com",
    "GOOGLE_OAUTH_BASE_URL": "https://oauth2.googleapis.com",
    "GOOGLE_OIDC_BASE_URL": "https://openidconnect.googleapis.com",
    "GOOGLE_WWW_BASE_URL": "https://www.googleapis.com",
    "GOOGLE_GMAIL_BASE_URL": "https://gmail.googleapis.com",
    "GOOGLE_PEOPLE_BASE_URL": "https://people.googleapis.com",
    "MICROSOFT_LOGIN_BASE_URL": "https://login.microsoftonline.com",
    "MICROSOFT_GRAPH_BASE_URL": "https://graph.microsoft.com",
    "META_GRAPH_BASE_URL": "https://graph.facebook.com",
    "META_WWW_BASE_URL": "https://www.facebook.com",
    "META_INSTAGRAM_GRAPH_BASE_URL": "https://graph.instagram.com",
    "META_INSTAGRAM_OAUTH_BASE_URL": "https://api.instagram.com",
    "META_INSTAGRAM_WWW_BASE_URL": "https://www.instagram.com",
}

OAUTH_PROVIDERS = ("google",)

# Values that ./run demo uses and that are printed in the README: nobody may go into production on them.
DEMO_MARKS = ("demo-", "demo:")

REQUIRED = {
    "SECRET_KEY": "signs sessions and links; 32 or more random characters",
    "ENCRYPTION_KEYS": "encrypts secrets at rest; id:base64 of 32 random bytes, newest first, comma between",
    "DATABASE_URL": "Postgres, as the role that owns nothing",
    "REDIS_URL": "Redis or Valkey",
    "PUBLIC_URL": "the address at which customers, mails and providers reach this site",
}
REQUIRED_IN_PRODUCTION = {
    "DATABASE_OWNER_URL": "Postgres, as the owner of the tables; used by migrations only",
    "SMTP_URL": "where invitations and password resets are sent, smtp://user:password@host:587",
    "MAIL_FROM": "the sender address of those mails",
}


class ConfigError(Exception):
    """The settings cannot be used; `problems` holds one sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(["Levelhead cannot start:", *(f"  - {p}" for p in problems)]))
        self.problems = problems


@dataclass(frozen=True)
class Settings:
    env: str
    # What is secret stands in no log and no traceback that prints the settings.
    secret_key: str = field(repr=False)
    encryption_keys: tuple[tuple[str, bytes], ...] = field(repr=False)
    database_url: str = field(repr=False)
    database_owner_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    public_url: str
    smtp_url: str = field(repr=False)
    mail_from: str
    data_dir: Path
    media_dir: Path
    trusted_proxies: int
    # How long a worker may take for a text before it is taken for dead; tests of dying workers make it short.
    send_lease_seconds: int
    # How long what a provider sent us is kept for replays; the message it became stays.
    webhook_payload_days: int
    # Who shows it may read /metrics from elsewhere; without one only this machine may.
    metrics_token: str = field(repr=False)
    simulator_url: str
    log_level: str
    # The installation's own app at a provider, as (id, secret); absent where none is registered.
    oauth_clients: Mapping[str, tuple[str, str]] = field(repr=False)
    hosts: Mapping[str, str] = field(repr=False)

    @property
    def secure_cookies(self) -> bool:
        return self.public_url.startswith("https://")

    def host(self, name: str) -> str:
        """Base URL of a provider host, without trailing slash; name as in the environment."""
        return self.hosts[name]


def is_loopback(host: str | None) -> bool:
    return host is not None and (host in ("localhost", "::1") or host.startswith("127."))


def _url_problem(name: str, value: str) -> str | None:
    parts = urlsplit(value)
    if parts.scheme == "https" and parts.hostname:
        return None
    if parts.scheme == "http" and is_loopback(parts.hostname):
        return None
    return f"{name} must be an https address (plain http only for this machine), not {value!r}"


def parse_keys(text: str) -> tuple[tuple[str, bytes], ...]:
    """`id:base64,id2:base64` as pairs; the first encrypts, all decrypt. Raises ValueError with a sentence."""
    keys: list[tuple[str, bytes]] = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        key_id, _, encoded = part.partition(":")
        try:
            raw = base64.urlsafe_b64decode(
                encoded.replace("+", "-").replace("/", "_") + "=" * (-len(encoded) % 4)
            )
        except (binascii.Error, ValueError) as error:
            raise ValueError(f"ENCRYPTION_KEYS: key {key_id!r} is not base64") from error
        if not key_id or len(raw) != 32:
            raise ValueError("ENCRYPTION_KEYS: each key is id:base64 of exactly 32 bytes")
        keys.append((key_id, raw))
    return tuple(keys)


def _missing(env: str, source: Mapping[str, str]) -> list[str]:
    wanted = dict(REQUIRED)
    if env == "production":
        wanted |= REQUIRED_IN_PRODUCTION
    return [f"{name} is missing: {why}" for name, why in wanted.items() if not source.get(name)]


def _demo_secrets(source: Mapping[str, str]) -> list[str]:
    # Any of the keys: the demo's would open what it sealed, and is known to everybody.
    parts = {n: [p.strip() for p in source.get(n, "").split(",")] for n in ("SECRET_KEY", "ENCRYPTION_KEYS")}
    found = [name for name, values in parts.items() if any(v.startswith(DEMO_MARKS) for v in values)]
    return [f"{name} is the demo's; production needs one of its own" for name in found]


def _whole_number(source: Mapping[str, str], name: str, default: int, problems: list[str]) -> int:
    text = source.get(name) or str(default)
    if text.isascii() and text.isdigit():
        return int(text)
    problems.append(f"{name} must be a whole number, not {text!r}")
    return default


def load(source: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment. Raises ConfigError naming every problem at once."""
    source = os.environ if source is None else source
    env = source.get("LEVELHEAD_ENV") or "production"
    problems: list[str] = []
    if env not in ENVIRONMENTS:
        problems.append(f"LEVELHEAD_ENV must be one of {', '.join(ENVIRONMENTS)}, not {env!r}")
    problems += _missing(env, source)
    if env == "production":
        problems += _demo_secrets(source)
    secret_key = source.get("SECRET_KEY", "")
    if env == "production" and 0 < len(secret_key) < 32:
        problems.append("SECRET_KEY is too short: 32 or more random characters")
    keys: tuple[tuple[str, bytes], ...] = ()
    try:
        keys = parse_keys(source.get("ENCRYPTION_KEYS", ""))
    except ValueError as error:
        problems.append(str(error))
    hosts = {name: (source.get(name) or default).rstrip("/") for name, default in HOSTS.items()}
    public_url = source.get("PUBLIC_URL", "").rstrip("/")
    addresses = hosts | ({"PUBLIC_URL": public_url} if public_url else {})
    problems += [p for name, value in addresses.items() if (p := _url_problem(name, value))]
    proxies = _whole_number(source, "TRUSTED_PROXIES", 0, problems)
    lease = _whole_number(source, "SEND_LEASE_SECONDS", 60, problems)
    problems += [
        f"{key.upper()}_CLIENT_ID and {key.upper()}_CLIENT_SECRET come together; one is missing"
        for key in OAUTH_PROVIDERS
        if bool(source.get(f"{key.upper()}_CLIENT_ID")) != bool(source.get(f"{key.upper()}_CLIENT_SECRET"))
    ]
    payload_days = _whole_number(source, "WEBHOOK_PAYLOAD_DAYS", 30, problems)
    if problems:
        raise ConfigError(problems)
    data_dir = Path(source.get("DATA_DIR") or "var").resolve()
    return Settings(
        env=env,
        secret_key=secret_key,
        encryption_keys=keys,
        database_url=_driver(source["DATABASE_URL"]),
        database_owner_url=_driver(source.get("DATABASE_OWNER_URL") or source["DATABASE_URL"]),
        redis_url=source["REDIS_URL"],
        public_url=public_url,
        smtp_url=source.get("SMTP_URL", ""),
        mail_from=source.get("MAIL_FROM") or "Levelhead <noreply@localhost>",
        data_dir=data_dir,
        media_dir=Path(source.get("MEDIA_DIR") or data_dir / "media").resolve(),
        trusted_proxies=proxies,
        send_lease_seconds=max(5, lease),
        webhook_payload_days=max(1, payload_days),
        metrics_token=source.get("METRICS_TOKEN", ""),
        simulator_url=source.get("SIMULATOR_URL", "").rstrip("/"),
        log_level=(source.get("LOG_LEVEL") or "INFO").upper(),
        oauth_clients=_oauth_clients(source),
        hosts=hosts,
    )


def _oauth_clients(source: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    found = {
        key: (source.get(f"{key.upper()}_CLIENT_ID", ""), source.get(f"{key.upper()}_CLIENT_SECRET", ""))
        for key in OAUTH_PROVIDERS
    }
    return {key: client for key, client in found.items() if all(client)}


def _driver(url: str) -> str:
    """Postgres URLs as hosts hand them out, with the driver that is installed."""
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    return url
