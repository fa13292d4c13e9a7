"""Video calls: `conferenceData.createRequest` answered at once, as Meet does.

A repeated wish with the same request id is the same call (developers.google.com/workspace/calendar/api/guides/create-events).
"""

from typing import Any

from app.sandbox.google.errors import invalid
from app.sandbox.google.records import made_up

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def arrange(body: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """What becomes of an event's video call with this body: the fields to set."""
    had = {name: (before or {}).get(name) for name in ("conferenceData", "hangoutLink")}
    kept = {name: value for name, value in had.items() if value}
    wanted = body.get("conferenceData")
    if not isinstance(wanted, dict) or "createRequest" not in wanted:
        return kept
    wish = wanted["createRequest"] or {}
    if not wish.get("requestId"):
        raise invalid("Missing conference request id.", "conferenceData")
    earlier = ((kept.get("conferenceData") or {}).get("createRequest") or {}).get("requestId")
    if earlier == wish["requestId"]:
        return kept
    code = f"{made_up(LETTERS, 3)}-{made_up(LETTERS, 4)}-{made_up(LETTERS, 3)}"
    url = f"https://meet.google.com/{code}"
    key = {"type": "hangoutsMeet"}
    return {
        "hangoutLink": url,
        "conferenceData": {
            "createRequest": {
                "requestId": wish["requestId"],
                "conferenceSolutionKey": key,
                "status": {"statusCode": "success"},
            },
            "entryPoints": [{"entryPointType": "video", "uri": url, "label": url.removeprefix("https://")}],
            "conferenceSolution": {"key": key, "name": "Google Meet"},
            "conferenceId": code,
        },
    }
