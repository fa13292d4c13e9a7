"""Signing in and out, a new password and an invitation by mailed link, and where people land.

Throttled by address and by e-mail before the password is looked at. The answer to a wrong address is the answer to a
wrong password.
"""

from urllib.parse import urlsplit

from flask import Blueprint, current_app, flash, g, make_response, redirect, render_template, request, session
from flask.blueprints import BlueprintSetupState
from flask_login import current_user
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from sqlalchemy import func
from werkzeug.wrappers import Response
from wtforms import EmailField, HiddenField, PasswordField, StringField

from app.core import htmx, runtime
from app.core.errors import Invalid
from app.core.request_scope import actor, db
from app.core.security import public
from app.core.throttle import Throttle
from app.domain import access, audit, invitations, mail_links, passwords, sessions
from app.models.account import Account
from app.models.user import User
from app.web import identity
from app.web.forms import Form

blueprint = Blueprint("auth", __name__)

BY_EMAIL = RateLimitItemPerMinute(8, 15, namespace="sign-in")
# Generous, since a whole office may share an address.
BY_ADDRESS = RateLimitItemPerMinute(60, 15, namespace="sign-in")
# Throttled tries are noted once in a while, not each: the log must not be filled from outside.
NOTED = RateLimitItemPerMinute(1, 15, namespace="sign-in-noted")
RESET_BY_EMAIL = RateLimitItemPerHour(4, 1, namespace="reset")
RESET_BY_ADDRESS = RateLimitItemPerHour(20, 1, namespace="reset")
LINK_BY_ADDRESS = RateLimitItemPerMinute(30, 15, namespace="link")

LAST_ACCOUNT = "last_account"
YEAR_S = 31_536_000
TOO_OFTEN = "Too many tries. Wait a quarter of an hour, or choose a new password by mail."


class SignInForm(Form):
    email = EmailField("E-mail")
    password = PasswordField("Password")
    next = HiddenField()


class AskResetForm(Form):
    email = EmailField("E-mail")


class NewPasswordForm(Form):
    password = PasswordField("New password")


class InvitationForm(Form):
    name = StringField("Your name")
    password = PasswordField("Choose a password")


def _throttle_of(state: BlueprintSetupState) -> None:
    state.app.extensions["throttle"] = runtime.current().throttle


blueprint.record_once(_throttle_of)


def _may(limit: RateLimitItem, *names: str) -> bool:
    throttle: Throttle = current_app.extensions["throttle"]
    return throttle.take(limit, *names)


def _ip() -> str:
    return request.remote_addr or ""


@blueprint.before_app_request
def remember_account() -> None:
    """Where `/` leads people who work in several accounts."""
    account: Account | None = g.get("account")
    if account is not None and session.get(LAST_ACCOUNT) != account.slug:
        session[LAST_ACCOUNT] = account.slug


@blueprint.get("/")
@public
def home() -> Response | str:
    if not current_user.is_authenticated:
        return htmx.go_to("/sign-in")
    url = landing_url(current_user.user)
    return htmx.go_to(url) if url else render_template("auth/no_account.html")


def landing_url(user: User) -> str | None:
    """The agency's people start at the list of accounts, others in the inbox of theirs; None without any."""
    if user.agency_role == "owner":
        return "/agency/accounts"
    query = access.accounts_of(user).order_by(func.lower(Account.name), Account.id).limit(200)
    slugs = [account.slug for account in db().scalars(query)]
    if user.agency_role == "staff" and len(slugs) != 1:
        return "/agency/accounts"
    if not slugs:
        return None
    last = session.get(LAST_ACCOUNT)
    return f"/a/{last if last in slugs else slugs[0]}/inbox"


def local_path(text: str | None) -> str | None:
    """An address on this site, or None: a sign-in must not send anybody elsewhere."""
    if not text or not text.startswith("/") or text.startswith(("//", "/\\")):
        return None
    if any(ord(c) < 33 or c == "\\" for c in text):
        return None
    parts = urlsplit(text)
    return None if parts.scheme or parts.netloc else text.removesuffix("?")


@blueprint.route("/sign-in", methods=["GET", "POST"])
@public
def sign_in() -> Response | str | tuple[str, int]:
    form = SignInForm(request.form, data={"next": request.args.get("next", "")})
    if current_user.is_authenticated:
        return htmx.go_to(local_path(form.next.data) or "/")
    if request.method == "GET":
        return render_template("auth/sign_in.html", form=form)
    email, password = form.email.data or "", form.password.data or ""
    if not email.strip() or not password:
        form.show(Invalid({"email" if not email.strip() else "password": "Fill this in, please."}))
        return render_template("auth/sign_in.html", form=form), 422
    if not _may_sign_in(email):
        form.show(Invalid({"": TOO_OFTEN}))
        return render_template("auth/sign_in.html", form=form), 429
    user = passwords.sign_in(db(), email, password, _ip())
    if user is None:
        db().commit()
        form.show(Invalid({"": "E-mail and password do not fit together."}))
        return render_template("auth/sign_in.html", form=form), 422
    throttle: Throttle = current_app.extensions["throttle"]
    throttle.forget(BY_EMAIL, passwords.normal_email(email))
    return _enter(user, local_path(form.next.data))


def _may_sign_in(email: str) -> bool:
    email = passwords.normal_email(email)
    # Both are counted, whatever the first one says.
    free = [_may(BY_ADDRESS, _ip()), _may(BY_EMAIL, email)]
    if all(free):
        return True
    if _may(NOTED, email if not free[1] else _ip()):
        passwords.note_throttled(db(), email, _ip())
        db().commit()
    return False


def _enter(user: User, wanted: str | None = None) -> Response:
    """A fresh session in this browser; the one it had, if any, ends."""
    if current_user.is_authenticated:
        sessions.end_one(db(), current_user.id, current_user.login.id)
    last = session.get(LAST_ACCOUNT)
    identity.start_session(db(), user)
    if last:
        session[LAST_ACCOUNT] = last
    db().commit()
    response = htmx.go_to(wanted or landing_url(user) or "/")
    if user.theme != "auto" and "theme" not in request.cookies:
        secure = runtime.current().settings.secure_cookies
        response.set_cookie("theme", user.theme, max_age=YEAR_S, samesite="Lax", secure=secure)
    return response


@blueprint.post("/sign-out")
def sign_out() -> Response:
    user = current_user.user
    if request.form.get("everywhere"):
        ended = sessions.end_all(db(), user.id)
        audit.note(db(), actor(), "user.signed_out_everywhere", user.email, browsers=ended)
        said = "You are signed out everywhere."
    else:
        sessions.end_one(db(), user.id, current_user.login.id)
        audit.note(db(), actor(), "user.signed_out", user.email)
        said = "You are signed out."
    db().commit()
    session.clear()
    flash(said, "success")
    return htmx.go_to("/sign-in")


@blueprint.route("/reset", methods=["GET", "POST"])
@public
def ask_reset() -> Response | str | tuple[str, int]:
    form = AskResetForm(request.form)
    if request.method == "GET":
        return render_template("auth/ask_reset.html", form=form, sent="sent" in request.args)
    email = passwords.normal_email(form.email.data or "")
    if "@" not in email:
        form.show(Invalid({"email": "That does not look like an e-mail address."}))
        return render_template("auth/ask_reset.html", form=form, sent=False), 422
    if not _may(RESET_BY_ADDRESS, _ip()):
        form.show(Invalid({"": "Too many tries. Wait an hour, then try again."}))
        return render_template("auth/ask_reset.html", form=form, sent=False), 429
    if _may(RESET_BY_EMAIL, email):
        passwords.ask_reset(db(), email, _ip())
        db().commit()
    return redirect("/reset?sent", code=303)


@blueprint.route("/reset/<token>", methods=["GET", "POST"])
@public
def reset(token: str) -> Response | str | tuple[str, int]:
    user = mail_links.owner_of(db(), token, "reset") if _may(LINK_BY_ADDRESS, _ip()) else None
    if user is None:
        return _stale_link("reset")
    form = NewPasswordForm(request.form)
    if request.method == "GET":
        return render_template("auth/reset.html", form=form, email=user.email)
    try:
        changed = passwords.reset(db(), token, form.password.data or "", _ip())
    except Invalid as wrong:
        db().rollback()
        form.show(wrong)
        return render_template("auth/reset.html", form=form, email=user.email), 422
    if changed is None:
        return _stale_link("reset")
    return _enter(changed)


@blueprint.route("/invitation/<token>", methods=["GET", "POST"])
@public
def invitation(token: str) -> Response | str | tuple[str, int]:
    user = mail_links.owner_of(db(), token, "invitation") if _may(LINK_BY_ADDRESS, _ip()) else None
    if user is None:
        return _stale_link("invitation")
    # Until somebody comes, the name is what the inviter typed, or the first half of the address.
    given = "" if user.name == user.email.partition("@")[0] else user.name
    form = InvitationForm(request.form, data={"name": given})
    if request.method == "GET":
        return render_template("auth/invitation.html", form=form, email=user.email)
    try:
        accepted = invitations.accept(
            db(), token, name=form.name.data or "", password=form.password.data or "", ip=_ip()
        )
    except Invalid as wrong:
        db().rollback()
        form.show(wrong)
        return render_template("auth/invitation.html", form=form, email=user.email), 422
    if accepted is None:
        return _stale_link("invitation")
    return _enter(accepted)


def _stale_link(purpose: str) -> Response:
    return make_response(render_template("auth/stale_link.html", purpose=purpose), 410)
