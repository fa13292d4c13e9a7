"""What connections are used for: on which pages their trouble matters, and what does not happen meanwhile.

Without a feature of its own a connection carries texts. What to ask a provider for is in app/integrations/oauth.py.
"""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Use:
    """`pages` are below /a/<account>/; empty stands for all of them. The sentences are about a business called `{name}`."""

    title: str
    stopped: str
    kept: str
    pages: tuple[str, ...] = ()


TEXTS = Use(
    title="Texts of {name} are waiting",
    stopped="No text leaves or is tried until somebody reconnects it.",
    kept="Nothing is lost: what waits is sent as soon as the connection works again.",
)
USES = {
    "calendar": Use(
        title="A calendar of {name} is not connected any more",
        stopped="Until somebody reconnects it, new bookings of that person come in as requests, and none are written to the "
        "calendar.",
        kept="Nothing is lost: bookings that wait are written as soon as the connection works again.",
        pages=("calendar", "bookings", "settings/calendars", "settings/schedules", "settings/connections"),
    ),
    "mail": Use(
        title="Mails of {name} are waiting",
        stopped="Mails are neither read nor sent until somebody reconnects it.",
        kept="Nothing is lost: what waits is sent as soon as the connection works again.",
        pages=("inbox", "settings/connections"),
    ),
    "contacts": Use(
        title="Contacts of {name} are not kept up",
        stopped="Contacts are not taken over until somebody reconnects it.",
        kept="What was taken over stays.",
        pages=("contacts", "settings/connections"),
    ),
}


def use_of(features: Collection[str]) -> Use:
    """The weightiest one; pages are all of them."""
    found = [USES[key] for key in USES if key in features]
    if not found:
        return TEXTS
    pages = tuple(dict.fromkeys(page for use in found for page in use.pages))
    return Use(found[0].title, found[0].stopped, found[0].kept, pages)


def concerns(pages: Collection[str], slug: str, path: str) -> bool:
    """Whether an address of the account is one of these pages or below one."""
    below = path.removeprefix(f"/a/{slug}/").strip("/")
    return not pages or any(below == page or below.startswith(page + "/") for page in pages)
