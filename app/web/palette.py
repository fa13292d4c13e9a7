"""The command palette: accounts by name, and the pages of where one is."""

from flask import Blueprint, render_template, request
from flask_login import current_user

from app.core import htmx
from app.core.errors import NotFound
from app.core.request_scope import db
from app.domain import access
from app.models.account import Account

blueprint = Blueprint("palette", __name__)

Item = dict[str, str | None]


@blueprint.get("/palette")
@htmx.piece_of("auth.home")
def search() -> str:
    text = request.args.get("q", "").strip()[:100]
    accounts = [_account_item(a) for a in access.search_accounts(db(), current_user.user, text)]
    groups = [{"title": "Accounts", "items": accounts}]
    if request.args.get("only") != "accounts":
        groups.insert(0, {"title": "Pages", "items": [p for p in _pages() if _fits(p, text)]})
    return render_template("components/_palette_results.html", groups=groups, query=text)


def _account_item(account: Account) -> Item:
    return {
        "title": account.name,
        "hint": account.trade,
        "url": f"/a/{account.slug}/inbox",
        "brand_colour_class": f"brand-{account.brand_colour}",
    }


def _fits(item: Item, text: str) -> bool:
    words = f"{item['title']} {item['hint'] or ''}".lower()
    return all(word in words for word in text.lower().split())


def _pages() -> list[Item]:
    role = current_user.user.agency_role
    pages = _account_pages(request.args.get("account", ""))
    if role:
        pages.append(_page("Accounts", "/agency/accounts", "building", "Agency"))
        pages.append(_page("Connections of all accounts", "/agency/connections", "plug-connected", "Agency"))
    if role == "owner":
        pages.append(_page("New account", "/agency/accounts/new", "plus", "Agency"))
        pages.append(_page("People of the agency", "/agency/people", "users", "Agency"))
        pages.append(_page("Invite to the agency", "/agency/people/invite", "user-plus", "Agency"))
        pages.append(_page("Audit log", "/agency/audit", "history", "Agency"))
        pages.append(_page("Operations", "/agency/operations", "heart-rate-monitor", "Queues, workers"))
        pages.append(_page("Dead letters", "/agency/operations/events?state=trouble", "inbox", "Operations"))
    pages.append(_page("Your profile", "/account", "user-circle", "Password, browsers, appearance"))
    return pages


def _account_pages(slug: str) -> list[Item]:
    if not slug:
        return []
    try:
        found = access.enter(db(), current_user.user, slug)
    except NotFound:
        return []
    home, name = f"/a/{slug}", found.account.name
    pages = [
        _page("Inbox", f"{home}/inbox", "inbox", name),
        _page("Calendar", f"{home}/calendar", "calendar", name),
        _page("Bookings", f"{home}/bookings", "calendar-event", name),
        _page("Book for somebody", f"{home}/bookings/new", "plus", "Bookings"),
        _page("Working hours", f"{home}/settings/hours", "clock", "Bookings"),
        _page("When the clocks change", f"{home}/settings/hours/rehearsal", "refresh", "Bookings"),
        _page("Contacts", f"{home}/contacts", "users", name),
        _page("Snippets", f"{home}/snippets", "template", name),
    ]
    if found.can_admin:
        pages += [
            _page("Connections", f"{home}/settings/connections", "plug-connected", "Settings"),
            _page("Calendars", f"{home}/settings/calendars", "calendar-time", "Settings"),
            _page("Account settings", f"{home}/settings/account", "building-store", "Settings"),
            _page("People", f"{home}/settings/people", "user-plus", "Settings"),
            _page("Custom fields", f"{home}/settings/fields", "list-details", "Settings"),
        ]
    return pages


def _page(title: str, url: str, icon: str, hint: str = "") -> Item:
    return {"title": title, "url": url, "icon": icon, "hint": hint}
