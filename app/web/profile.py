"""One's own page: name, appearance, password, and the browsers one is signed in on."""

import uuid

from flask import Blueprint, flash, redirect, render_template, request
from flask_login import current_user
from werkzeug.wrappers import Response
from wtforms import PasswordField, RadioField, StringField

from app.core import runtime
from app.core.errors import Invalid, NotFound
from app.core.request_scope import actor, db
from app.domain import audit, passwords, people, sessions
from app.models.user import LoginSession
from app.web.forms import Form

blueprint = Blueprint("profile", __name__)

THEMES = {"auto": "Automatic: as this device", "light": "Light", "dark": "Dark"}
YEAR_S = 31_536_000

_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("Linux", "Linux"),
)


class ProfileForm(Form):
    name = StringField("Name")
    theme = RadioField("Appearance", choices=THEMES)


class PasswordForm(Form):
    current = PasswordField("Current password")
    new = PasswordField("New password")


@blueprint.get("/account")
def show() -> str:
    return _page()


def _page(profile: ProfileForm | None = None, password: PasswordForm | None = None) -> str:
    user = current_user.user
    theme = request.cookies.get("theme") or user.theme
    return render_template(
        "profile/profile.html",
        nav="profile",
        profile=profile or ProfileForm(data={"name": user.name, "theme": theme}),
        password=password or PasswordForm(),
        sessions=sessions.open_sessions(db(), user.id),
        here=current_user.login.id,
        browser=browser,
    )


@blueprint.post("/account")
def save() -> Response | tuple[str, int]:
    form = ProfileForm(request.form)
    user = current_user.user
    if not form.validate():
        return _page(profile=form), 422
    try:
        people.rename(db(), actor(), user, form.name.data or "")
    except Invalid as wrong:
        form.show(wrong)
        return _page(profile=form), 422
    user.theme = form.theme.data
    db().commit()
    flash("Saved.", "success")
    response = redirect("/account", code=303)
    secure = runtime.current().settings.secure_cookies
    response.set_cookie("theme", user.theme, max_age=YEAR_S, samesite="Lax", secure=secure)
    return response


@blueprint.post("/account/password")
def change_password() -> Response | tuple[str, int]:
    form = PasswordForm(request.form)
    current, new, keep = form.current.data or "", form.new.data or "", current_user.login.id
    try:
        passwords.change(db(), actor(), current_user.user, current=current, new=new, keep=keep)
    except Invalid as wrong:
        form.show(wrong)
        return _page(password=form), 422
    db().commit()
    flash("Your password is changed. Other browsers were signed out.", "success")
    return redirect("/account", code=303)


@blueprint.post("/account/sessions/<uuid:session_id>/end")
def end_session(session_id: uuid.UUID) -> Response:
    if not sessions.end_one(db(), current_user.id, session_id):
        raise NotFound
    audit.note(db(), actor(), "user.session_ended", current_user.email)
    db().commit()
    flash("That browser is signed out.", "success")
    return redirect("/account", code=303)


def browser(login: LoginSession) -> str:
    """What a browser calls itself, in two words."""
    agent = login.user_agent
    name = next((words for mark, words in _BROWSERS if mark in agent), "A browser")
    system = next((words for mark, words in _SYSTEMS if mark in agent), "")
    return f"{name} on {system}" if system else name
