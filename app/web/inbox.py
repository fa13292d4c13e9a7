"""The inbox's first pane: tabs, rows, search, and deeds on many conversations at once."""

import hashlib
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, g, make_response, render_template, request, url_for

from app.core import htmx
from app.core.errors import Invalid, NotFound
from app.core.ids import parse_id
from app.core.request_scope import actor, db
from app.domain import contact_list, contacts, conversations, inbound, inbox, later, phones, triage
from app.web import inbox_rows, thread_view
from app.web.context import banners, frame_counts, words
from app.web.inbox_rows import Look

blueprint = Blueprint("inbox", __name__)

# A poll asks for as many rows as are shown; past this the older ones are a page of their own.
MOST_SHOWN = 400
MOST_AT_ONCE = 200

DONE = {
    "close": "Closed",
    "reopen": "Reopened",
    "star": "Starred",
    "unstar": "Star removed from",
    "read": "Marked as read:",
    "unread": "Marked as unread:",
    "wake": "Snooze ended for",
    "assign": "Assigned",
    "snooze": "Snoozed",
}
UNDO = {"close": "reopen", "reopen": "close", "star": "unstar", "unstar": "star", "snooze": "wake"}


def me() -> Any:
    return actor().user_id


def chosen_tab() -> str:
    tab = request.args.get("tab", "all")
    return tab if tab in inbox.TABS else "all"


def list_context() -> dict[str, Any]:
    """For templates/inbox/_list.html. `open` is the conversation in the second pane."""
    tab, search, after = chosen_tab(), request.args.get("q", "").strip()[:200], request.args.get("after", "")
    shown = min(max(request.args.get("shown", 0, int), inbox.PAGE_SIZE), MOST_SHOWN)
    page = inbox.rows_of(db(), tab, me(), search=search, after=after, limit=shown)
    counts = {tab: frame_counts()[tab] for tab in inbox.COUNTED_TABS}
    if not htmx.is_htmx():
        # The page needs them anyway, for assigning.
        thread_view.people()
    names = thread_view.names_of(r.conversation.assigned_to for r in page.rows)
    trouble = banners()
    open_id = parse_id(request.view_args.get("conversation_id") if request.view_args else "")
    row_query = query_of(tab, search)
    looks = inbox_rows.looks_of(page.rows, names, row_query)
    return {
        "tab": tab,
        "search": search,
        "after": after,
        "page": page,
        "counts": counts,
        "looks": looks,
        "drawn": inbox_rows.drawn,
        "open_id": open_id or parse_id(request.args.get("open", "")),
        "banners": trouble,
        "digest": _digest(looks, counts, trouble),
        "unread_total": counts["all"],
        "row_query": row_query,
        "list_url": url_for("inbox.rows", account=g.account.slug) + query_of(tab, search, after=after),
        "at_most": len(page.rows) + inbox.PAGE_SIZE > MOST_SHOWN,
    }


def query_of(tab: str, search: str, **more: str) -> str:
    values = {"tab": "" if tab == "all" else tab, "q": search, **more}
    text = urlencode({key: value for key, value in values.items() if value})
    return f"?{text}" if text else ""


def _digest(looks: list[Look], counts: dict[str, int], trouble: list[dict[str, Any]]) -> str:
    """Equal as long as the rows look the same, and the banners over them."""
    seen = (looks, sorted(counts.items()), [str(banner["text"]) for banner in trouble])
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


@blueprint.get("/a/<account>/inbox")
def index(account: str) -> str:
    return render_template("inbox/index.html", **page_context())


def page_context() -> dict[str, Any]:
    """For templates/inbox/index.html: the list, the bulk bar and the dialogs."""
    return list_context() | {
        "people": thread_view.people(),
        "later_presets": later.presets(g.account.zone),
        "me": me(),
    }


@blueprint.get("/a/<account>/inbox/list")
def rows(account: str) -> Response:
    """The list alone: for polls (204 when it looks the same), tabs, search and the rows behind the last one."""
    if not htmx.is_htmx():
        return make_response(render_template("inbox/index.html", **page_context()))
    found = list_context()
    if request.args.get("digest") == found["digest"]:
        return htmx.nothing_new()
    if request.args.get("part") == "more":
        return make_response(render_template("inbox/_more_rows.html", **found))
    response = make_response(render_template("inbox/_list.html", **found, oob=True))
    if "digest" not in request.args and "tab" in request.args:
        path = (request.headers.get("HX-Current-URL") or "").partition("?")[0]
        if path:
            response.headers["HX-Replace-Url"] = path + query_of(found["tab"], found["search"])
    return response


@blueprint.post("/a/<account>/inbox/bulk")
def bulk(account: str) -> Response:
    """One deed on every selected conversation. Ids of other accounts are not found behind the fence."""
    deed = request.form.get("deed", "")
    ids = {parse_id(part) for text in request.form.getlist("ids") for part in text.split(",")} - {None}
    found = triage.locked_many(db(), sorted(i for i in ids if i)[:MOST_AT_ONCE])
    if not found:
        raise NotFound
    _do_to_all(found, deed)
    db().commit()
    count = len(found)
    text = f"{DONE[deed]} {count} conversation{'s' if count != 1 else ''}"
    if not htmx.is_htmx():
        return htmx.go_to(url_for("inbox.index", account=account))
    undo = {"deed": UNDO[deed], "ids": ",".join(str(c.id) for c in found)} if deed in UNDO else None
    answer = make_response(render_template("inbox/_toast.html", text=text, undo=undo, undo_url=request.path))
    return htmx.trigger(htmx.trigger(answer, "inbox-changed"), "selection-done")


def _do_to_all(found: list[Any], deed: str) -> None:
    if deed == "assign":
        person = triage.person_named(thread_view.people(), request.form.get("person", ""))
        for conversation in found:
            triage.assign(db(), conversation, person, actor())
    elif deed == "snooze":
        until = later.read_time(request.form.get("until", ""), request.form.get("at", ""), g.account.zone)
        for conversation in found:
            triage.snooze(db(), conversation, until, words().when(until), actor())
    elif deed in triage.DEEDS:
        for conversation in found:
            triage.DEEDS[deed](db(), conversation, actor())
    else:
        raise Invalid({"deed": "Choose what to do with them."})


@blueprint.get("/a/<account>/inbox/new")
def new(account: str) -> str:
    """Whom to text: contacts by name or number, and a number nobody has yet."""
    wanted = request.args.get("to", "").strip()[:100]
    number = ""
    if sum(c.isdigit() for c in wanted) >= 6:
        try:
            number = phones.to_e164(wanted, g.account.country)
        except ValueError:
            number = ""
    found = contact_list.find(db(), wanted)
    if any(point.value == number for contact in found for point in contact.points):
        number = ""
    template = "inbox/_new_results.html" if htmx.is_htmx() else "inbox/new.html"
    return render_template(template, found=found, number=number, wanted=wanted, nav="inbox")


@blueprint.post("/a/<account>/inbox/new")
def start(account: str) -> Response:
    """Opens the conversation with a contact, or with whoever has a number."""
    contact_id = parse_id(request.form.get("contact", ""))
    if contact_id is not None:
        contact = contacts.get(db(), contact_id)
    else:
        try:
            number = phones.to_e164(request.form.get("number", ""), g.account.country)
        except ValueError as error:
            raise Invalid({"number": str(error)}) from error
        inbound.one_at_a_time(db(), g.account.id, number)
        contact = contacts.find_or_create_by_phone(db(), g.account.id, number, source="Texted from the inbox")
    conversation = conversations.for_contact(db(), contact)
    db().commit()
    return htmx.go_to(url_for("thread.show", account=account, conversation_id=conversation.id))
