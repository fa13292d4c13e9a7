"""Google as a provider of the simulator: its addresses, its memory, its words for ordered faults.

The addresses are those of the hosts accounts.google.com, oauth2.googleapis.com, openidconnect.googleapis.com and
www.googleapis.com. The consent screen is left out of the API prefixes: a person reads it, so ordered trouble spares it.
"""

from flask import Flask

from app.sandbox.google import calendar_api, consent, control, edits, oauth, pages, week
from app.sandbox.google.errors import (
    OAUTH_PREFIX,
    Refused,
    TokenRefused,
    answer_refusal,
    answer_token_refusal,
    refuse_with,
)
from app.sandbox.google.pushes import Pushes
from app.sandbox.google.tokens import Codes
from app.sandbox.google.world import GoogleWorld
from app.sandbox.registry import Provider
from app.sandbox.state import Simulator


def install(app: Flask, sim: Simulator) -> None:
    world = GoogleWorld()
    sim.parts["google"] = world
    app.extensions["google_world"] = world
    app.extensions["google_codes"] = Codes()
    app.extensions["google_pushes"] = Pushes(sim, world)
    app.register_blueprint(consent.blueprint, url_prefix="/google/accounts")
    app.register_blueprint(oauth.blueprint, url_prefix=OAUTH_PREFIX.rstrip("/"))
    app.register_blueprint(oauth.userinfo, url_prefix="/google/oidc/v1")
    root = calendar_api.PREFIX
    app.register_blueprint(calendar_api.blueprint, url_prefix=f"{root}/calendar/v3")
    # userinfo and the signing keys are on www.googleapis.com as well, under three names.
    for version in ("v2", "v3"):
        app.register_blueprint(
            oauth.userinfo, url_prefix=f"{root}/oauth2/{version}", name=f"google_userinfo_{version}"
        )
    app.add_url_rule(f"{root}/userinfo/v2/me", "google_userinfo_me", oauth.about_person_v2)
    app.register_blueprint(control.blueprint)
    for views in (pages.blueprint, week.blueprint, edits.blueprint):
        app.register_blueprint(views)
    app.register_error_handler(Refused, answer_refusal)
    app.register_error_handler(TokenRefused, answer_token_refusal)


def resume(app: Flask) -> None:
    """Nothing is under way at Google but pushes, and those tell only that there is something to look at."""


GOOGLE = Provider(
    key="google",
    name="Google",
    prefixes=("/google/oauth/", "/google/oidc/", "/google/calendar/"),
    install=install,
    resume=resume,
    refuse_with=refuse_with,
)
