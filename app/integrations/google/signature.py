"""Is a push really from Google? https://developers.google.com/workspace/calendar/api/guides/push

Pushes of calendars are not signed. What they prove is that they know the random token of the channel, which only Google and
we were told; kept is its hash alone. So a push is believed as far as "look again" and no further.
"""

import hashlib
import hmac
import re

CHANNEL, TOKEN, STATE, NUMBER = (
    "X-Goog-Channel-ID",
    "X-Goog-Channel-Token",
    "X-Goog-Resource-State",
    "X-Goog-Message-Number",
)
CHANNEL_REF = re.compile(r"[A-Za-z0-9_+/=-]{1,64}")
LONGEST_TOKEN = 256


def verify(token: str, known_hash: str) -> bool:
    """Compared in constant time."""
    if not token or len(token) > LONGEST_TOKEN:
        return False
    given = hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
    return hmac.compare_digest(given.encode(), known_hash.encode())
