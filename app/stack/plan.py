"""What a start is going to be: which mode, where the data lies, which ports, and the environment of every
program.

What stands in the environment wins over every default here. Production gets no defaults for secrets, servers
and addresses: app/config.py names what is missing.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app import config
from app.stack.secrets import demo_secrets, local_secrets

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_DATA_DIRS = {"demo": ROOT / "var", "serve": ROOT / "var-serve"}
DEFAULT_ENVIRONMENTS = {"demo": "demo", "serve": "local"}
TWILIO_PREFIXES = {
    "TWILIO_API_BASE_URL": "/twilio/api",
    "TWILIO_MESSAGING_BASE_URL": "/twilio/messaging",
    "TWILIO_LOOKUPS_BASE_URL": "/twilio/lookups",
    "TWILIO_PRICING_BASE_URL": "/twilio/pricing",
    "TWILIO_NUMBERS_BASE_URL": "/twilio/numbers",
    "TWILIO_TRUSTHUB_BASE_URL": "/twilio/trusthub",
}
GOOGLE_PREFIXES = {
    "GOOGLE_ACCOUNTS_BASE_URL": "/google/accounts",
    "GOOGLE_OAUTH_BASE_URL": "/google/oauth",
    "GOOGLE_OIDC_BASE_URL": "/google/oidc",
    "GOOGLE_WWW_BASE_URL": "/google/calendar",
    "GOOGLE_GMAIL_BASE_URL": "/google/gmail",
    "GOOGLE_PEOPLE_BASE_URL": "/google/people",
}


class PlanFailed(Exception):
    """The start cannot be as asked; the text says why."""


@dataclass(frozen=True)
class Plan:
    mode: str
    data_dir: Path
    host: str
    port: int
    simulator_port: int
    smtp_port: int
    own_postgres: bool
    own_redis: bool
    settings: Mapping[str, str]
    source: Mapping[str, str]

    @property
    def address(self) -> str:
        shown = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host
        return f"http://{shown}:{self.port}"

    @property
    def simulator_url(self) -> str:
        return f"http://127.0.0.1:{self.simulator_port}"

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"

    @property
    def is_production(self) -> bool:
        return self.settings["LEVELHEAD_ENV"] == "production"

    @property
    def environment(self) -> dict[str, str]:
        """For every program of the stack, but for the addresses of the embedded servers."""
        return {"PYTHONUNBUFFERED": "1", **self.source, **self.settings}


def make_plan(mode: str, source: Mapping[str, str] | None = None) -> Plan:
    """Reads the environment and, for serve, the kept secrets. Raises PlanFailed, config.ConfigError."""
    source = dict(os.environ if source is None else source)
    env = source.get("LEVELHEAD_ENV") or DEFAULT_ENVIRONMENTS[mode]
    if mode == "demo" and env != "demo":
        raise PlanFailed(f"./run demo is for trying out; for LEVELHEAD_ENV={env} use ./run serve.")
    data_dir = Path(source.get("DATA_DIR") or DEFAULT_DATA_DIRS[mode]).absolute()
    port = _port(source, "PORT", 8000)
    plan = Plan(
        mode=mode,
        data_dir=data_dir,
        host=source.get("HOST") or "127.0.0.1",
        port=port,
        simulator_port=_port(source, "SIM_PORT", port + 1),
        smtp_port=_port(source, "SIM_SMTP_PORT", port + 2),
        own_postgres=env != "production" and not source.get("DATABASE_URL"),
        own_redis=env != "production" and not source.get("REDIS_URL"),
        settings={"LEVELHEAD_ENV": env},
        source=source,
    )
    settings = {"LEVELHEAD_ENV": env, "PORT": str(port), "DATA_DIR": str(data_dir)}
    settings["MEDIA_DIR"] = source.get("MEDIA_DIR") or str(data_dir / "media")
    given = {name: value for name, value in source.items() if value}
    settings |= {name: given.get(name, value) for name, value in _defaults(plan).items()}
    plan = Plan(**{**plan.__dict__, "settings": settings})
    _refuse_bad_settings(plan)
    return plan


def _port(source: Mapping[str, str], name: str, default: int) -> int:
    text = source.get(name) or str(default)
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise PlanFailed(f"{name} must be a port number between 1 and 65535, not {text!r}.")
    return int(text)


def _defaults(plan: Plan) -> dict[str, str]:
    if plan.is_production:
        return {}
    if plan.mode == "serve":
        plan.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return {**local_secrets(plan.data_dir), "PUBLIC_URL": plan.address}
    return {
        **demo_secrets(),
        "PUBLIC_URL": plan.address,
        "SIMULATOR_URL": plan.simulator_url,
        "SMTP_URL": f"smtp://127.0.0.1:{plan.smtp_port}",
        **{name: plan.simulator_url + prefix for name, prefix in (TWILIO_PREFIXES | GOOGLE_PREFIXES).items()},
        # The simulator takes the first secret it is shown for an app as the right one.
        "GOOGLE_CLIENT_ID": "demo-levelhead.apps.googleusercontent.com",
        "GOOGLE_CLIENT_SECRET": "demo-google-secret",
    }


def _refuse_bad_settings(plan: Plan) -> None:
    """Before anything is started, so that one message names all of it."""
    promised: dict[str, str] = {}
    if plan.own_postgres:
        promised |= {"DATABASE_URL": "postgresql://embedded/", "DATABASE_OWNER_URL": "postgresql://embedded/"}
    if plan.own_redis:
        promised |= {"REDIS_URL": "unix://embedded"}
    config.load({**plan.environment, **promised})
