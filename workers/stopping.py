"""Whether this worker process was asked to end; drains look at it between batches."""

_asked = False


def ask() -> None:
    global _asked
    _asked = True


def keep_on() -> bool:
    return not _asked
