"""How long to wait before the next try: doubling with jitter, so that many who failed together do not return together."""

import random
from datetime import timedelta

FIRST = 5.0
LONGEST = 1800.0


def wait(attempt: int, *, first: float = FIRST, longest: float = LONGEST) -> timedelta:
    """Before try number `attempt` + 1; between half and the whole of first × 2^(attempt-1), at most `longest`."""
    whole = min(longest, first * 2.0 ** min(attempt - 1, 20))
    return timedelta(seconds=random.uniform(whole / 2, whole))
