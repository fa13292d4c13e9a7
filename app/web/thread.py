"""The inbox's second pane: one conversation, live; and what people do with the conversation as a whole."""

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, g, make_response, render_template, request, url_for

from app.core import htmx
from app.core.errors import NotFound
from app.core.request_scope import actor, db
from app.domain import conversations, custom_fields, later, presence, threads, triage
from app.models.contact import Contact
from app.models.conversation import Conversation
from app.web import inbox as inbox_pane
from app.web import thread_view
from app.web.context import sending_paused, unread_total, words
from app.web.thread_view import Shown

blueprint = Blueprint("thread", __name__)
HERE = "/a/<account>/inbox/c/<uuid:conversation_id>"


def opened(conversation_id: UUID) -> tuple[Conversation, Contact]:
    """The conversation and the person in it. Raises NotFound, also when the contact was deleted."""
    found = threads.opened(db(), conversation_id)
    return found.conversation, found.contact


@blueprint.get(HERE)
def show(account: str, conversation_id: UUID) -> str:
    found = thread_view.thread_context(threads.opened(db(), conversation_id, actor().user_id))
    found["custom_fields"] = custom_fields.of_account(db())
    if htmx.is_htmx():
        tab, search = inbox_pane.chosen_tab(), request.args.get("q", "")
        back = url_for("inbox.index", account=account) + inbox_pane.query_of(tab, search)
        return render_template(
            "inbox/_conversation.html", **found, back_url=back, unread_total=unread_total()
        )
    found = inbox_pane.page_context() | found
    found["back_url"] = url_for("inbox.index", account=account) + found["row_query"]
    return render_template("inbox/index.html", **found)


@blueprint.get(HERE + "/new")
@htmx.piece_of("thread.show")
def poll(account: str, conversation_id: UUID) -> Response:
    """What is newer than the reader's cursor: 204, or the bubbles and what else of the pane changes with them."""
    after, oldest = request.args.get("after", 0, int), request.args.get("from", 0, int)
    shown = thread_view.changes(conversation_id, after, oldest, request.args.get("day", ""))
    me = actor()
    others = (
        presence.seen(conversation_id, me.user_id, me.name, writing=request.args.get("writing") == "1")
        if me.user_id and not sending_paused()
        else []
    )
    said = "; ".join(f"{o.name} is {'writing' if o.writing else 'viewing'}" for o in others)
    if not shown.bubbles and said == request.args.get("present", ""):
        return htmx.nothing_new()
    if not shown.bubbles:
        return make_response(
            render_template("inbox/_presence.html", conversation_id=conversation_id, others=others, said=said)
        )
    return answer(conversation_id, shown, others=others, said=said)


@blueprint.get(HERE + "/older")
def older(account: str, conversation_id: UUID) -> Response:
    """Messages before the oldest shown one."""
    conversation, contact = opened(conversation_id)
    before = request.args.get("before", 0, int)
    if not htmx.is_htmx():
        return htmx.go_to(url_for("thread.show", account=account, conversation_id=conversation_id))
    shown = thread_view.older(conversation, before)
    return make_response(
        render_template(
            "inbox/_older.html",
            shown=shown,
            day_below=request.args.get("day", ""),
            **thread_view.header_context(conversation, contact),
        )
    )


@blueprint.post(HERE + "/read")
def read(account: str, conversation_id: UUID) -> Response:
    """The reader has it on the screen, up to the cursor `after`."""
    if not triage.mark_read(db(), conversation_id, request.form.get("after", 0, int)):
        threads.seq_of(db(), conversation_id)
        return htmx.nothing_new()
    db().commit()
    if not htmx.is_htmx():
        return htmx.go_to(url_for("thread.show", account=account, conversation_id=conversation_id))
    badges = render_template("inbox/_badges.html", unread_total=unread_total())
    return htmx.trigger(make_response(badges), "inbox-changed")


@blueprint.post(HERE + "/do/<deed>")
def do(account: str, conversation_id: UUID, deed: str) -> Response:
    """Close, reopen, star, unstar, unread, wake."""
    if deed not in triage.DEEDS:
        raise NotFound
    conversation = conversations.locked(db(), conversation_id)
    before = conversation.seq
    triage.DEEDS[deed](db(), conversation, actor())
    db().commit()
    undo = {"deed": "reopen", "ids": str(conversation_id)} if deed == "close" else None
    return changed(account, conversation_id, before, "Closed" if undo else "", undo)


@blueprint.post(HERE + "/assign")
def assign(account: str, conversation_id: UUID) -> Response:
    person = triage.person_named(thread_view.people(), request.form.get("person", ""))
    conversation = conversations.locked(db(), conversation_id)
    before = conversation.seq
    triage.assign(db(), conversation, person, actor())
    db().commit()
    return changed(account, conversation_id, before)


@blueprint.post(HERE + "/snooze")
def snooze(account: str, conversation_id: UUID) -> Response:
    conversation = conversations.locked(db(), conversation_id)
    until = later.read_time(request.form.get("until", ""), request.form.get("at", ""), g.account.zone)
    before = conversation.seq
    triage.snooze(db(), conversation, until, words().when(until), actor())
    db().commit()
    undo = {"deed": "wake", "ids": str(conversation_id)}
    return changed(account, conversation_id, before, f"Snoozed until {words().when(until)}", undo)


def changed(
    account: str,
    conversation_id: UUID,
    before: int,
    text: str = "",
    undo: dict[str, str] | None = None,
) -> Response:
    """After a deed: the header and the new lines of the thread, and a word to the list."""
    if not htmx.is_htmx():
        return htmx.go_to(url_for("thread.show", account=account, conversation_id=conversation_id))
    after, oldest = request.form.get("after", before, int), request.form.get("from", 0, int)
    shown = thread_view.changes(conversation_id, after, oldest, request.form.get("day", ""))
    response = answer(conversation_id, shown, toast_text=text, toast_undo=undo)
    return htmx.trigger(response, "inbox-changed")


def answer(conversation_id: UUID, shown: Shown, **more: Any) -> Response:
    """Bubbles, cursor, header and the composer's notice, all out of band."""
    conversation, contact = opened(conversation_id)
    composer = thread_view.composer_for(
        conversation,
        contact,
        request.values.get("to", "") or thread_view.last_address(shown.bubbles),
        sender_id=request.values.get("sender", ""),
    )
    found = thread_view.header_context(conversation, contact) | {
        "shown": shown,
        "composer": composer,
        "bulk_url": url_for("inbox.bulk", account=g.account.slug),
    }
    return make_response(render_template("inbox/_changes.html", **(found | more)))
