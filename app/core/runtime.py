"""What a process holds for its whole life: settings, database, Redis, vault, media storage, bells.

Made once at process start by the web factory, the workers' boot, the commands and the tests; everything below asks
`current()`. There is no other process-wide state.
"""

from dataclasses import dataclass

import redis

from app.config import Settings
from app.core.bells import Bells
from app.core.crypto import Vault
from app.core.db import Database
from app.core.storage import LocalFolder, Storage
from app.core.throttle import Throttle


@dataclass
class Runtime:
    settings: Settings
    database: Database
    redis: "redis.Redis"
    vault: Vault
    storage: Storage
    bells: Bells
    throttle: Throttle

    def close(self) -> None:
        self.bells.close()
        self.database.close()
        self.redis.close()


_current: Runtime | None = None


def build(settings: Settings, *, pool_size: int = 10) -> Runtime:
    connection = redis.Redis.from_url(
        settings.redis_url, socket_timeout=2, socket_connect_timeout=1, health_check_interval=30
    )
    return Runtime(
        settings=settings,
        database=Database(settings.database_url, pool_size=pool_size),
        redis=connection,
        vault=Vault(settings.encryption_keys),
        storage=LocalFolder(settings.media_dir),
        bells=Bells(settings.redis_url),
        throttle=Throttle(connection),
    )


def install(runtime: Runtime) -> Runtime:
    global _current
    _current = runtime
    return runtime


def swap(runtime: Runtime | None) -> Runtime | None:
    """Installs another for a while and gives the one before: for what runs a second stack beside its own."""
    global _current
    before, _current = _current, runtime
    return before


def current() -> Runtime:
    """RuntimeError when the process has not been started through one of its entries."""
    if _current is None:
        raise RuntimeError("the runtime is not installed")
    return _current
