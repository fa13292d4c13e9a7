"""Writing: texts and comments, pictures, the meter that says what a text will cost, snippets at hand, drafts."""

from uuid import UUID

from flask import Blueprint, Response, g, make_response, render_template, request, url_for
from sqlalchemy import select

from app.core import htmx
from app.core.errors import Invalid, NotFound
from app.core.ids import new_id, parse_id
from app.core.request_scope import actor, db
from app.domain import conversations, drafts, later, media, snippets, threads
from app.domain.sending.queue import queue_text
from app.models.message import Attachment
from app.web import thread, thread_view
from app.web.thread_view import COMMENT, TEXT, Composer

blueprint = Blueprint("composer", __name__)
LONGEST_COMMENT = 5000
LONGEST_KEY = 64


def _typed(conversation_id: UUID) -> Composer:
    """The composer as the form has it."""
    conversation, contact = thread.opened(conversation_id)
    form = request.form
    body = form.get("body", "").replace("\r\n", "\n").replace("\0", "")
    return thread_view.composer_for(
        conversation,
        contact,
        sender_id=form.get("sender", ""),
        to=form.get("to", ""),
        body=body,
        mode=form.get("mode", ""),
        client_key=form.get("client_key", "")[:LONGEST_KEY] or new_id().hex,
        attachments=_attached(),
    )


def _attached() -> list[Attachment]:
    """The uploads named in the form that are still free, in its order."""
    ids = [i for i in map(parse_id, request.form.getlist("attachment")) if i]
    if not ids:
        return []
    query = select(Attachment).where(Attachment.id.in_(ids), Attachment.message_id.is_(None))
    by_id = {file.id: file for file in db().scalars(query)}
    return [by_id[i] for i in dict.fromkeys(ids) if i in by_id]


@blueprint.post(thread.HERE + "/messages")
def send(account: str, conversation_id: UUID) -> Response:
    """A text goes to the queue, a comment into the thread; nothing but mode=text can ever be sent."""
    composer = _typed(conversation_id)
    before = composer.conversation.seq
    try:
        if composer.mode == COMMENT:
            _comment(composer)
        elif composer.mode == TEXT:
            _text(composer)
        else:
            raise Invalid({"": "Choose whether this is a text or a comment."})
    except Invalid as error:
        db().rollback()
        return _with_errors(conversation_id, error)
    me = actor().user_id
    if me is not None:
        drafts.drop(db(), conversation_id, me)
    db().commit()
    if not htmx.is_htmx():
        return htmx.go_to(url_for("thread.show", account=account, conversation_id=conversation_id))
    fresh = thread_view.composer_for(
        composer.conversation,
        composer.contact,
        sender_id=str(composer.sender.id) if composer.sender else "",
        to=composer.to.value if composer.to else "",
        mode=composer.mode,
        sent=True,
    )
    return _answer(account, conversation_id, before, fresh)


def _answer(account: str, conversation_id: UUID, before: int, fresh: Composer) -> Response:
    """The new bubbles out of band, and an empty composer in the place of the old."""
    changes = thread.changed(account, conversation_id, before)
    composer = render_template(
        "inbox/_composer.html",
        composer=fresh,
        **thread_view.header_context(fresh.conversation, fresh.contact),
    )
    changes.set_data(composer + changes.get_data(as_text=True))
    return changes


def _text(composer: Composer) -> None:
    form, me = request.form, actor()
    if composer.missing and form.get("unfilled") != "send":
        raise Invalid({"missing": ", ".join(composer.missing)})
    if composer.to is None:
        raise Invalid({"": composer.blocked})
    if form.get("to") and form.get("to") != composer.to.value:
        raise Invalid({"to": "That number is no longer on the contact. Choose another."})
    wanted = form.get("until", "")
    send_at = later.read_time(wanted, form.get("at", ""), g.account.zone) if wanted else None
    if len(composer.attachments) != len(form.getlist("attachment")) and not _is_repeat(composer):
        raise Invalid({"attachments": "One of the pictures is no longer there. Attach it again."})
    queue_text(
        db(),
        g.account,
        composer.conversation,
        to=composer.to.value,
        body=composer.body,
        sender=composer.sender,
        author_id=me.user_id,
        attachment_ids=[file.id for file in composer.attachments],
        send_at=send_at,
        client_key=composer.client_key,
        author_name=me.name,
    )


def _is_repeat(composer: Composer) -> bool:
    """The same form a second time: its pictures already belong to the message it made."""
    return threads.has_client_key(db(), composer.client_key)


def _comment(composer: Composer) -> None:
    body = composer.body.strip()
    if not body:
        raise Invalid({"body": "Write something first."})
    if len(body) > LONGEST_COMMENT:
        raise Invalid({"body": f"A comment can have {LONGEST_COMMENT:,} characters."})
    conversation = conversations.locked(db(), composer.conversation.id)
    if _is_repeat(composer):
        return
    comment = conversations.add_comment(db(), conversation, body, actor().user_id)
    comment.client_key = composer.client_key


def _with_errors(conversation_id: UUID, error: Invalid) -> Response:
    """The composer again, with what was typed and a sentence at the place it is about."""
    composer = _typed(conversation_id)
    composer.errors = error.fields
    context = thread_view.header_context(composer.conversation, composer.contact)
    if htmx.is_htmx():
        page = render_template("inbox/_composer.html", composer=composer, **context)
    else:
        page = render_template("inbox/write.html", composer=composer, nav="inbox", **context)
    return make_response(page, 422)


@blueprint.post(thread.HERE + "/draft")
def measure(account: str, conversation_id: UUID) -> str:
    """Keeps the draft and says what it would be as a text: segments, price, what is missing."""
    composer = _typed(conversation_id)
    me = actor().user_id
    if me is not None:
        drafts.keep(
            db(),
            composer.conversation,
            me,
            composer.body,
            is_comment=composer.mode != TEXT,
            client_key=composer.client_key,
        )
        db().commit()
    context = thread_view.header_context(composer.conversation, composer.contact)
    return render_template("inbox/_measured.html", composer=composer, **context)


@blueprint.post("/a/<account>/inbox/attachments")
def attach(account: str) -> Response:
    """Takes pictures up; they become part of the text that names them."""
    files = [file for file in request.files.getlist("file") if file.filename]
    if not files:
        raise Invalid({"attachments": "Choose a picture."})
    stored = [
        media.store_upload(
            db(), g.account.id, file.filename or "", file.mimetype, file.read(), actor().user_id
        )
        for file in files
    ]
    db().commit()
    return make_response(render_template("inbox/_attachments.html", attachments=stored))


@blueprint.get(thread.HERE + "/snippets")
@htmx.piece_of("thread.show")
def pick(account: str, conversation_id: UUID) -> str:
    """The list that opens on "/", each snippet already filled in for this contact."""
    _, contact = thread.opened(conversation_id)
    me = thread_view.myself()
    if me is None:
        raise NotFound
    hits = snippets.search(db(), request.args.get("words", ""), limit=8)
    filled = snippets.filled(hits, snippets.values_for(contact, g.account, me))
    return render_template(
        "inbox/_snippet_list.html", filled=filled, words_typed=request.args.get("words", "")
    )
