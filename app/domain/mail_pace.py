"""How often somebody here may have mails sent to an address that they typed: invitations, links to reconnect.

Else an account could be used to flood a stranger's mailbox, in this installation's name. Resets by mail, which need no
sign-in, are held back in app/web/auth.py.
"""

from limits import RateLimitItemPerHour

from app.core import runtime
from app.core.actor import Actor
from app.core.errors import Invalid

TO_ONE = RateLimitItemPerHour(4, 1, namespace="mails-to-one")
# A person sets up a large agency in an hour, too.
BY_ONE = RateLimitItemPerHour(120, 1, namespace="mails-by-one")


def take(actor: Actor, address: str, about: str) -> None:
    """Counts one mail about something to an address. Raises Invalid when there were too many."""
    throttle = runtime.current().throttle
    if not throttle.take(BY_ONE, str(actor.user_id or actor.agency_id)):
        raise Invalid({"email": "You have had many mails sent in the last hour. Wait an hour, then go on."})
    if not throttle.take(TO_ONE, about, address.lower()):
        raise Invalid({"email": f"{address} was sent several of these in the last hour. Try again later."})
