"""Commands as a person runs them, in this process and on the tests' servers."""

from collections.abc import Iterator
from contextlib import contextmanager

from click.testing import CliRunner, Result

from app.cli import cli
from app.config import Settings
from app.core import runtime

OTHER_KEY = "next:" + "b" * 43
TEST_KEY = "test:a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="


def environment(settings: Settings, **changes: str) -> dict[str, str]:
    return {
        "LEVELHEAD_ENV": "test",
        "SECRET_KEY": settings.secret_key,
        "ENCRYPTION_KEYS": TEST_KEY,
        "DATABASE_URL": settings.database_url,
        "DATABASE_OWNER_URL": settings.database_owner_url,
        "REDIS_URL": settings.redis_url,
        "PUBLIC_URL": settings.public_url,
        "MEDIA_DIR": str(settings.media_dir),
        **changes,
    }


@contextmanager
def kept_runtime() -> Iterator[None]:
    """A command installs a runtime of its own and closes it; the tests' comes back."""
    ours = runtime.current()
    try:
        yield
    finally:
        runtime.install(ours)


def run(settings: Settings, *arguments: str, **changes: str) -> Result:
    with kept_runtime():
        return CliRunner().invoke(cli, arguments, env=environment(settings, **changes))
