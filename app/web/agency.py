"""The agency's accounts: how each is doing, a new one, archiving and bringing back."""

import uuid
from typing import Any

from flask import Blueprint, Response, flash, make_response, render_template, request
from flask_login import current_user
from sqlalchemy import func, or_, select, tuple_
from werkzeug.wrappers import Response as BaseResponse

from app.core import htmx
from app.core.errors import Forbidden, Invalid, NotFound
from app.core.ids import parse_id
from app.core.request_scope import actor, db
from app.domain import access, accounts
from app.models.account import Account
from app.models.user import Membership
from app.web.account_forms import QUIET, AccountForm, zones
from app.web.forms import sent

blueprint = Blueprint("agency", __name__, url_prefix="/agency")

PAGE = 50


def need_agency() -> None:
    """People of client businesses are told that there is nothing here."""
    if current_user.user.agency_role is None:
        raise NotFound


def need_owner() -> None:
    need_agency()
    if current_user.user.agency_role != "owner":
        raise Forbidden("Only an owner of the agency can do that. Ask one of them.")


@blueprint.get("/accounts")
def list_accounts() -> str:
    need_agency()
    values = _listed()
    partial = htmx.is_htmx() and request.headers.get("HX-Target") == "account-list"
    return render_template("agency/_account_list.html" if partial else "agency/accounts.html", **values)


def _listed() -> dict[str, Any]:
    """One page of accounts by name; keyset on (name, id)."""
    text, archived = request.args.get("q", "").strip()[:100], request.args.get("show") == "archived"
    name = func.lower(Account.name)
    query = _accounts(archived=archived)
    if text:
        query = query.where(
            or_(
                *(
                    column.icontains(text, autoescape=True)
                    for column in (Account.name, Account.slug, Account.trade)
                )
            )
        )
    after_name, after_id = request.args.get("after", ""), parse_id(request.args.get("after_id"))
    if after_id is not None:
        query = query.where(tuple_(name, Account.id) > tuple_(after_name, after_id))
    found = list(db().scalars(query.order_by(name, Account.id).limit(PAGE + 1)))
    rows, more = found[:PAGE], len(found) > PAGE
    return {
        "nav": "agency-accounts",
        "rows": rows,
        "health": accounts.health(db(), current_user.user.agency_id, [a.id for a in rows]),
        "query": text,
        "archived": archived,
        "last": rows[-1] if more else None,
        "paged": after_id is not None,
    }


def _accounts(*, archived: bool) -> Any:
    """The accounts this person may enter, or the archived ones of the agency for its owners."""
    user = current_user.user
    if not archived:
        return access.accounts_of(user)
    query = select(Account).where(Account.agency_id == user.agency_id, Account.archived_at.is_not(None))
    if user.agency_role == "owner":
        return query
    return query.join(Membership, Membership.account_id == Account.id).where(Membership.user_id == user.id)


@blueprint.get("/accounts/slug")
@htmx.piece_of("agency.new_account")
def suggest_slug() -> str:
    """The field with a suggestion for the name, unless the person has typed one of their own."""
    need_owner()
    form = AccountForm(request.args)
    suggested = request.args.get("suggested", "")
    if not form.slug.data or form.slug.data == suggested:
        suggested = accounts.free_slug(db(), form.name.data) if form.name.data else ""
        form.slug.data = suggested
    return render_template("agency/_slug.html", form=form, suggested=suggested)


@blueprint.route("/accounts/new", methods=["GET", "POST"])
def new_account() -> BaseResponse | str | tuple[str, int]:
    need_owner()
    if request.method == "GET":
        facts = accounts.AccountFacts(name="")
        values = vars(facts) | {"quiet_on": True, "quiet_from": QUIET[0], "quiet_until": QUIET[1]}
        return _new_page(AccountForm(data=values))
    form = AccountForm(sent())
    if not form.validate():
        return _new_page(form), 422
    try:
        account = accounts.create(db(), actor(), form.facts())
        if content := form.logo_content():
            accounts.set_logo(db(), actor(), account, content)
    except Invalid as wrong:
        db().rollback()
        form.show(wrong)
        return _new_page(form), 422
    db().commit()
    flash(f"{account.name} is there. Connect its phone number next.", "success")
    return htmx.go_to(f"/a/{account.slug}/settings/connections")


def _new_page(form: AccountForm) -> str:
    return render_template(
        "agency/new_account.html",
        nav="agency-accounts",
        form=form,
        zones=zones(),
        suggested=request.form.get("suggested", ""),
    )


@blueprint.post("/accounts/<uuid:account_id>/archive")
def archive_account(account_id: uuid.UUID) -> BaseResponse:
    need_owner()
    account = _account(account_id)
    accounts.archive(db(), actor(), account)
    db().commit()
    said = f"{account.name} is archived."
    if not htmx.is_htmx():
        flash(said, "success")
        return htmx.go_to("/agency/accounts")
    response = _list_again()
    return htmx.toast(response, said, undo_url=f"/agency/accounts/{account.id}/restore")


@blueprint.post("/accounts/<uuid:account_id>/restore")
def restore_account(account_id: uuid.UUID) -> BaseResponse:
    need_owner()
    account = _account(account_id)
    accounts.restore(db(), actor(), account)
    db().commit()
    flash(f"{account.name} is back.", "success")
    return htmx.go_to("/agency/accounts")


def _list_again() -> Response:
    return make_response(render_template("agency/_account_list.html", **_listed()))


def _account(account_id: uuid.UUID) -> Account:
    account = db().get(Account, account_id)
    if account is None or account.agency_id != current_user.user.agency_id:
        raise NotFound
    return account
