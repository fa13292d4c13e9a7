"""The snippets page: texts kept for reuse."""

from uuid import UUID

from flask import Blueprint, Response, g, make_response, render_template, request, url_for

from app.core import htmx
from app.core.errors import Invalid
from app.core.request_scope import actor, db
from app.domain import snippets
from app.models.conversation import Snippet

blueprint = Blueprint("snippets", __name__)
FIELDS = ("shortcut", "title", "body")


@blueprint.get("/a/<account>/snippets")
def index(account: str) -> str:
    found = snippets.search(db(), request.args.get("q", "")[:100])
    context = {"snippets": found, "search": request.args.get("q", ""), "nav": "snippets"}
    if htmx.is_htmx():
        return render_template("snippets/_list.html", **context)
    return render_template("snippets/index.html", **context)


@blueprint.get("/a/<account>/snippets/new")
def new(account: str) -> str:
    return _form(None, dict.fromkeys(FIELDS, ""))


@blueprint.get("/a/<account>/snippets/<uuid:snippet_id>")
def edit(account: str, snippet_id: UUID) -> str:
    found = snippets.get(db(), snippet_id)
    return _form(found, {field: getattr(found, field) for field in FIELDS})


@blueprint.post("/a/<account>/snippets/new")
def create(account: str) -> Response:
    return _save(account, None)


@blueprint.post("/a/<account>/snippets/<uuid:snippet_id>")
def change(account: str, snippet_id: UUID) -> Response:
    return _save(account, snippets.get(db(), snippet_id))


def _save(account: str, snippet: Snippet | None) -> Response:
    typed = {field: request.form.get(field, "").replace("\r\n", "\n").replace("\0", "") for field in FIELDS}
    try:
        snippets.save(db(), snippet, user_id=actor().user_id, **typed)
    except Invalid as error:
        db().rollback()
        return make_response(_form(snippet, typed, error.fields), 422)
    db().commit()
    return htmx.go_to(url_for("snippets.index", account=account))


def _form(snippet: Snippet | None, values: dict[str, str], errors: dict[str, str] | None = None) -> str:
    return render_template(
        "snippets/edit.html",
        snippet=snippet,
        values=values,
        errors=errors or {},
        variables=[*snippets.VARIABLES, *snippets.custom_variables(db())],
        nav="snippets",
    )


@blueprint.post("/a/<account>/snippets/<uuid:snippet_id>/delete")
def delete(account: str, snippet_id: UUID) -> Response:
    """Gone at once; the notice puts it back."""
    gone = snippets.delete(db(), snippet_id)
    kept = {field: getattr(gone, field) for field in FIELDS}
    db().commit()
    if not htmx.is_htmx():
        return htmx.go_to(url_for("snippets.index", account=account))
    page = render_template(
        "inbox/_toast.html",
        text=f"Deleted /{kept['shortcut']}",
        undo=kept | {"undo": "1"},
        undo_url=url_for("snippets.create", account=g.account.slug),
    )
    return htmx.trigger(make_response(page), "snippets-changed")
