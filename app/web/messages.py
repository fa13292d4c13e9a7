"""One message of a thread: why it went or did not, and what can still be done with it."""

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, g, make_response, render_template, request, url_for

from app.core import htmx
from app.core.errors import Invalid, NotFound
from app.core.request_scope import actor, db
from app.domain import drafts, threads
from app.domain.sending import queue, why
from app.models.message import Message
from app.web import thread, thread_view

blueprint = Blueprint("messages", __name__)
HERE = thread.HERE + "/m/<uuid:message_id>"


def found(conversation_id: UUID, message_id: UUID) -> Message:
    message = threads.message_of(db(), conversation_id, message_id)
    if message is None or message.direction != "out":
        raise NotFound
    return message


@blueprint.get(HERE + "/why")
def explain(account: str, conversation_id: UUID, message_id: UUID) -> str:
    """The chain of decisions; a dialog's content for htmx, a page of its own otherwise."""
    message = found(conversation_id, message_id)
    template = "inbox/_why.html" if htmx.is_htmx() else "inbox/why.html"
    bubble = thread_view.bubbles_of([message])[0]
    return render_template(
        template,
        nav="inbox",
        bubble=bubble,
        steps=why.explain(db(), message),
        thread_url=url_for("thread.show", account=account, conversation_id=conversation_id),
    )


@blueprint.post(HERE + "/send-now")
def send_now(account: str, conversation_id: UUID, message_id: UUID) -> Response:
    return _done(account, conversation_id, message_id, queue.send_now)


@blueprint.post(HERE + "/cancel")
def cancel(account: str, conversation_id: UUID, message_id: UUID) -> Response:
    return _done(account, conversation_id, message_id, queue.cancel)


@blueprint.post(HERE + "/retry")
def retry(account: str, conversation_id: UUID, message_id: UUID) -> Response:
    by = actor()
    return _done(
        account,
        conversation_id,
        message_id,
        lambda session, message, name: queue.retry(session, g.account, message, by.user_id, name),
    )


@blueprint.post(HERE + "/edit")
def edit(account: str, conversation_id: UUID, message_id: UUID) -> Response:
    """Takes a waiting text back into the composer."""
    message = found(conversation_id, message_id)
    body, me = message.body, actor().user_id
    response = _done(account, conversation_id, message_id, queue.cancel, commit=False)
    if response.status_code >= 300 and response.status_code != 303:
        return response
    conversation, contact = thread.opened(conversation_id)
    if me is not None:
        drafts.keep(db(), conversation, me, body)
    db().commit()
    if not htmx.is_htmx():
        return response
    composer = thread_view.composer_for(conversation, contact, message.address, body=body, sent=True)
    again: Any = response.get_data(as_text=True) + render_template(
        "inbox/_composer.html",
        composer=composer,
        swap_oob=True,
        **thread_view.header_context(conversation, contact),
    )
    response.set_data(again)
    return response


def _done(account: str, conversation_id: UUID, message_id: UUID, deed: Any, commit: bool = True) -> Response:
    message = found(conversation_id, message_id)
    before = message.changed_seq
    try:
        deed(db(), message, actor().name)
    except Invalid as error:
        db().rollback()
        if not htmx.is_htmx():
            raise
        response = make_response(
            render_template("inbox/_toast.html", text=str(error), undo=None, undo_url="", kind="warning")
        )
        return htmx.trigger(response, "every-tick")
    if commit:
        db().commit()
    else:
        db().flush()
    if not htmx.is_htmx():
        return htmx.go_to(url_for("thread.show", account=account, conversation_id=conversation_id))
    return thread.changed(account, conversation_id, request.form.get("after", before - 1, int))
