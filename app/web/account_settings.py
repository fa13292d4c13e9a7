"""Settings of one account: facts, looks, quiet hours, limits; and its logo."""

import mimetypes

from flask import Blueprint, Response, flash, g, render_template, request
from flask_login import current_user
from werkzeug.wrappers import Response as BaseResponse

from app.core import htmx, runtime
from app.core.errors import Invalid, NotFound
from app.core.request_scope import actor, db
from app.domain import accounts
from app.web.account_forms import AccountForm, LimitsForm, values_of, zones
from app.web.forms import sent

blueprint = Blueprint("account_settings", __name__, url_prefix="/a/<account>")


def _form_class() -> type[AccountForm]:
    """How much an account may send is for the agency to say."""
    return LimitsForm if current_user.user.agency_role else AccountForm


@blueprint.get("/settings/account")
def show(account: str) -> str:
    g.access.need_admin()
    return _page(_form_class()(data=values_of(g.account)))


def _page(form: AccountForm) -> str:
    return render_template("settings/account.html", nav="account", form=form, zones=zones())


@blueprint.post("/settings/account")
def save(account: str) -> BaseResponse | tuple[str, int]:
    g.access.need_admin()
    form = _form_class()(sent())
    if not form.validate():
        return _page(form), 422
    old_logo = None
    try:
        accounts.change(db(), actor(), g.account, form.facts(accounts.AccountFacts.of(g.account)))
        if content := form.logo_content():
            old_logo = accounts.set_logo(db(), actor(), g.account, content)
        elif request.form.get("remove_logo"):
            old_logo = accounts.remove_logo(db(), actor(), g.account)
    except Invalid as wrong:
        db().rollback()
        form.show(wrong)
        return _page(form), 422
    db().commit()
    if old_logo:
        runtime.current().storage.delete(old_logo)
    flash("Saved.", "success")
    return htmx.go_to(f"/a/{account}/settings/account")


@blueprint.get("/logo")
def logo(account: str) -> Response:
    key = g.account.logo_key
    if key is None:
        raise NotFound
    try:
        content = runtime.current().storage.read(key)
    except FileNotFoundError:
        raise NotFound from None
    response = Response(content, content_type=mimetypes.guess_type(key)[0] or "application/octet-stream")
    response.headers["Cache-Control"] = "private, max-age=86400"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response
