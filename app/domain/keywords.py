"""Which texts mean stop, start or help. The provider's own judgement comes first, the word list second.

Words: Twilio's default opt-out keywords with the two that US carriers added in April 2025
(https://help.twilio.com/articles/223134027, FCC 47 CFR 64.1200(a)(10)).
"""

import unicodedata

STOP = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
START = frozenset({"START", "UNSTOP", "YES"})
HELP = frozenset({"HELP", "INFO"})


def meaning(body: str, provider_says: str = "") -> str:
    """'stop', 'start', 'help' or ''. The word must be the whole text but for case, spaces and punctuation."""
    if provider_says.upper() in ("STOP", "START", "HELP"):
        return provider_says.lower()
    folded = unicodedata.normalize("NFKC", body).upper()
    word = "".join(c for c in folded if c.isalnum())
    if word in STOP:
        return "stop"
    if word in START:
        return "start"
    return "help" if word in HELP else ""
