"""The list of bookings with its tabs, filters and pages.

One booking with everything that can be done with it is in one_booking.py; booking for somebody in booking_for.py; the times of
the whole account in calendar_screen.py.
"""

from dataclasses import asdict, dataclass
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, g, make_response, render_template, request, url_for

from app.core import htmx
from app.core.clock import now
from app.core.ids import parse_id
from app.core.request_scope import db
from app.domain import access
from app.domain.availability.zones import span_of_dates
from app.domain.booking import calendars, diary, lists, waitlist
from app.models.calendar import Calendar
from app.web.booking_clocks import clocks, read_day
from app.web.context import words
from app.web.zoned import Zoned

blueprint = Blueprint("bookings", __name__, url_prefix="/a/<account>/bookings")
blueprint.context_processor(clocks)
TABS = {
    "upcoming": "Upcoming",
    "requests": "Requests",
    "past": "Past",
    "no_show": "No-shows",
    "cancelled": "Cancelled",
}


@dataclass(frozen=True)
class View:
    """What part of the list is shown, as it stands in the address."""

    tab: str = "upcoming"
    q: str = ""
    calendar: str = ""
    host: str = ""
    since: str = ""
    until: str = ""
    after: str = ""
    before: str = ""

    @classmethod
    def asked(cls) -> "View":
        held = {name: request.args.get(name, "").strip()[:200] for name in cls.__dataclass_fields__}
        if held["tab"] not in TABS:
            held["tab"] = "upcoming"
        return cls(**held)

    def url(self, **change: str) -> str:
        held = {**asdict(self), **change}
        if held["tab"] == "upcoming":
            held.pop("tab")
        return url_for(
            "bookings.index", account=g.account.slug, **{k: text for k, text in held.items() if text}
        )

    @property
    def is_filtered(self) -> bool:
        return bool(self.q or self.calendar or self.host or self.since or self.until)

    def wanted(self) -> lists.Filter:
        zone: ZoneInfo = g.account.zone
        first, last = read_day(self.since), read_day(self.until)
        return lists.Filter(
            tab=self.tab,
            text=self.q,
            calendar_id=parse_id(self.calendar) if self.calendar else None,
            host_id=parse_id(self.host) if self.host else None,
            since=diary.moment(span_of_dates(zone, first, first)[0]) if first else None,
            until=diary.moment(span_of_dates(zone, last, last)[1]) if last else None,
        )


@blueprint.get("")
def index(account: str) -> Response:
    view = View.asked()
    people = access.people_of_account(db(), g.account)
    values: dict[str, Any] = {
        "view": view,
        "page": lists.page(db(), view.wanted(), now(), after=view.after, before=view.before),
        "tab_items": [],
        "calendars": {each.id: each for each in every_calendar()},
        "people": people,
        "names": {person.id: person.name for person in people},
        "zoned": Zoned(g.account.zone, words().locale),
        "nav": "bookings",
    }
    if not htmx.is_htmx():
        waiting, values["to_call"] = waitlist.counts(db())
        keeps_lists = any(each.has_waitlist for each in values["calendars"].values())
        shown = waiting if waiting or keeps_lists else None
        values["tab_items"] = tab_items(view, lists.count_requests(db(), now()), shown, view.tab)
        return make_response(render_template("bookings/index.html", **values))
    answer = make_response(render_template("bookings/_list.html", **values))
    if not request.headers.get("HX-Current-URL", "").endswith(view.url()):
        answer.headers["HX-Push-Url"] = view.url()
    return answer


def tab_items(
    view: View, requests: int, waiting: int | None, current: str
) -> list[tuple[str, str, bool, int]]:
    """(text, address, is this one, number); the waiting list only where one is kept."""
    found = [
        (text, view.url(tab=key, after="", before=""), key == current, requests if key == "requests" else 0)
        for key, text in TABS.items()
    ]
    if waiting is not None:
        url = url_for("waiting.index", account=g.account.slug)
        found.insert(2, ("Waiting list", url, current == "waiting", waiting))
    return found


def every_calendar() -> list[Calendar]:
    """Archived ones too: their bookings are still listed."""
    return calendars.all_of(db()) + calendars.all_of(db(), archived=True)
