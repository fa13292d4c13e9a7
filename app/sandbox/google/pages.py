"""The visitor's side of the played Google: the accounts with what they allowed, and trouble with them.

Plain pages and forms. What they change goes through the same verbs as the API, so apps hear of it by sync and push. A
person's calendar is in week.py, what its forms do in edits.py.
"""

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.sandbox.google import tokens
from app.sandbox.google.access import AUTH, world
from app.sandbox.google.control import overview
from app.sandbox.google.errors import Refused
from app.sandbox.google.records import Account, Calendar
from app.sandbox.pages import only_own_forms

blueprint = Blueprint("google_pages", __name__, url_prefix="/calendars")
blueprint.before_request(only_own_forms)

LIVES = {30: "30 seconds", 120: "2 minutes", 600: "10 minutes", 3599: "1 hour"}


@blueprint.get("")
def accounts() -> ResponseReturnValue:
    people = [overview(email) for email in sorted(world().accounts)]
    for person in people:
        for grant in person["grants"]:
            grant["short"] = [scope.removeprefix(AUTH) for scope in grant["scopes"]]
    return render_template(
        "google_accounts.html", here="accounts", people=people, settings=world().settings, lives=LIVES
    )


@blueprint.post("")
def add_account() -> ResponseReturnValue:
    email = request.form.get("email", "").strip().lower()
    if "@" not in email:
        abort(400, "Write an e-mail address.")
    world().welcome(email, request.form.get("name", "").strip()[:60], "America/New_York")
    return redirect(url_for("google_pages.accounts"))


@blueprint.post("/settings")
def change_settings() -> ResponseReturnValue:
    life = request.form.get("access_token_s", "3599")
    with world().lock:
        world().settings.change(
            {
                "access_token_s": int(life) if life.isdigit() and int(life) in LIVES else 3599,
                "rotate_refresh_tokens": "rotate_refresh_tokens" in request.form,
                "apps_in_testing": "apps_in_testing" in request.form,
            }
        )
        world().touch()
    return redirect(url_for("google_pages.accounts"))


@blueprint.post("/<email>/access")
def change_access(email: str) -> ResponseReturnValue:
    """What may happen to what a person allowed an app."""
    client_id, deed = request.form.get("client_id", ""), request.form.get("do")
    account_at(email)
    if deed == "revoke":
        tokens.take_back(world(), email, client_id)
    elif deed == "expire":
        tokens.expire(world(), email, client_id)
    elif deed == "expire_refresh":
        tokens.expire(world(), email, client_id, "refresh")
    return redirect(url_for("google_pages.accounts") + f"#{email}")


@blueprint.post("/<email>/trouble")
def change_trouble(email: str) -> ResponseReturnValue:
    account = account_at(email)
    if request.form.get("do") == "forget":
        world().forget_syncs(email)
    else:
        calendar = calendar_at(account, request.form.get("calendar", "primary"))
        calendar.unreadable = not calendar.unreadable
        world().touch()
    return redirect(url_for("google_pages.accounts") + f"#{email}")


def account_at(email: str) -> Account:
    account = world().accounts.get(email)
    if account is None:
        abort(404)
    return account


def calendar_at(account: Account, calendar_id: str) -> Calendar:
    try:
        return world().calendar_of(account.email, calendar_id)
    except Refused:
        abort(404)
