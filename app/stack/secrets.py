"""The secrets of a stack that brings its own: the demo's, fixed and known to everybody, and those serve
makes once.

app/config.py knows the demo's by their beginning and refuses them in production. Production gets nothing from
here.
"""

import base64
import json
import os
import secrets
from pathlib import Path

DEMO_SECRET_KEY = "demo-not-secret-everybody-can-read-this-in-the-source"
DEMO_ENCRYPTION_KEYS = "demo:" + base64.b64encode(b"levelhead demo key, not a secret").decode()


def demo_secrets() -> dict[str, str]:
    return {"SECRET_KEY": DEMO_SECRET_KEY, "ENCRYPTION_KEYS": DEMO_ENCRYPTION_KEYS}


def local_secrets(data_dir: Path) -> dict[str, str]:
    """Made at the first start, kept in DATA_DIR/secrets.json. Without that file the stored credentials
    are lost.
    """
    place = data_dir / "secrets.json"
    if place.exists():
        kept = json.loads(place.read_text())
        return {name: str(kept[name]) for name in ("SECRET_KEY", "ENCRYPTION_KEYS")}
    made = {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": "k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
    }
    write_private(place, json.dumps(made, indent=2) + "\n")
    return made


def write_private(place: Path, text: str) -> None:
    """0600 from the first byte on, and never half a file."""
    fresh = place.with_name(f".{place.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.rename(place)
