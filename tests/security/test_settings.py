"""Production starts on its own secrets only, and nothing that prints the settings prints them."""

import base64

import pytest

from app import config
from app.stack.secrets import DEMO_ENCRYPTION_KEYS, DEMO_SECRET_KEY

OWN_KEY = "own:" + base64.b64encode(b"o" * 32).decode()
GOOD = {
    "LEVELHEAD_ENV": "production",
    "SECRET_KEY": "very-own-" + "x" * 32,
    "ENCRYPTION_KEYS": OWN_KEY,
    "DATABASE_URL": "postgresql://app:hidden-app@db/levelhead",
    "DATABASE_OWNER_URL": "postgresql://owner:hidden-owner@db/levelhead",
    "REDIS_URL": "redis://:hidden-redis@cache/0",
    "PUBLIC_URL": "https://texts.example",
    "SMTP_URL": "smtp://me:hidden-smtp@mail:587",
    "MAIL_FROM": "Us <us@example.test>",
}


def test_good_settings_start_and_print_no_secret() -> None:
    printed = repr(config.load(GOOD))
    assert "hidden" not in printed and "very-own" not in printed and "oooo" not in printed


def test_an_empty_environment_names_everything_at_once() -> None:
    with pytest.raises(config.ConfigError) as found:
        config.load({})
    said = str(found.value)
    assert all(name in said for name in GOOD if name != "LEVELHEAD_ENV"), said


@pytest.mark.parametrize(
    "bad",
    [
        {"SECRET_KEY": DEMO_SECRET_KEY},
        {"SECRET_KEY": "short"},
        {"ENCRYPTION_KEYS": DEMO_ENCRYPTION_KEYS},
        {"ENCRYPTION_KEYS": f"{OWN_KEY}, {DEMO_ENCRYPTION_KEYS}"},
        {"ENCRYPTION_KEYS": "own:c2hvcnQ="},
        {"PUBLIC_URL": "http://texts.example"},
        {"TWILIO_API_BASE_URL": "http://169.254.169.254"},
        {"TRUSTED_PROXIES": "²"},
    ],
)
def test_bad_settings_are_refused(bad: dict[str, str]) -> None:
    with pytest.raises(config.ConfigError):
        config.load(GOOD | bad)
