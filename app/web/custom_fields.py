"""Settings: the account's own fields on contacts. Only for admins of the account."""

import uuid
from typing import Any

from flask import Blueprint, Response, g, make_response, render_template, request, url_for

from app.core import htmx
from app.core.errors import Invalid
from app.core.request_scope import actor, db
from app.domain import custom_fields
from app.web import notices

blueprint = Blueprint("custom_fields", __name__, url_prefix="/a/<account>/settings/fields")


@blueprint.before_request
def _admins_only() -> None:
    g.access.need_admin()


def _page(**more: Any) -> str:
    values: dict[str, Any] = {
        "fields": custom_fields.of_account(db()),
        "used": custom_fields.used_by(db()),
        "kinds": custom_fields.KINDS,
        "edit": request.args.get("edit", ""),
        "wrong": {},
        "typed": {},
        "nav": "fields",
    }
    return render_template("custom_fields/index.html", **values | more)


def _back(account: str) -> Response:
    return htmx.go_to(url_for(".index", account=account))


@blueprint.get("")
def index(account: str) -> str:
    return _page()


@blueprint.post("")
def create(account: str) -> Response:
    typed = request.form
    try:
        field = custom_fields.create(
            db(),
            actor(),
            label=typed.get("label", ""),
            kind=typed.get("kind", ""),
            options=typed.get("options", "").splitlines(),
        )
    except Invalid as error:
        db().rollback()
        return make_response(_page(wrong=error.fields, typed=typed), 422)
    db().commit()
    notices.say(f"Field {field.label} added")
    return _back(account)


@blueprint.post("/<uuid:field_id>")
def change(account: str, field_id: uuid.UUID) -> Response:
    typed = request.form
    field = custom_fields.get(db(), field_id)
    options = typed.get("options", "").splitlines()
    try:
        custom_fields.change(db(), actor(), field, label=typed.get("label", ""), options=options)
    except Invalid as error:
        db().rollback()
        return make_response(_page(edit=str(field_id), wrong=error.fields, typed=typed), 422)
    db().commit()
    notices.say(f"Field {field.label} saved")
    return _back(account)


@blueprint.post("/<uuid:field_id>/move")
def move(account: str, field_id: uuid.UUID) -> Response:
    step = -1 if request.form.get("step") == "up" else 1
    custom_fields.move(db(), custom_fields.get(db(), field_id), step)
    db().commit()
    return _back(account)


@blueprint.post("/<uuid:field_id>/delete")
def delete(account: str, field_id: uuid.UUID) -> Response:
    field = custom_fields.get(db(), field_id)
    custom_fields.delete(db(), actor(), field)
    db().commit()
    notices.say(f"Field {field.label} deleted")
    return _back(account)
