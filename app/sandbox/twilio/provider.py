"""Twilio as a provider of the simulator: its addresses, its memory, its words for ordered faults."""

from flask import Flask

from app.sandbox.registry import Provider
from app.sandbox.state import Simulator
from app.sandbox.twilio import control, messages, messaging, numbers
from app.sandbox.twilio.access import API_PREFIX
from app.sandbox.twilio.errors import Refused, answer_refusal, refuse_with
from app.sandbox.twilio.lifecycle import Lifecycle
from app.sandbox.twilio.world import TwilioWorld

MESSAGING_PREFIX = "/twilio/messaging"
LOOKUPS_PREFIX = "/twilio/lookups"


def install(app: Flask, sim: Simulator) -> None:
    world = TwilioWorld()
    sim.parts["twilio"] = world
    app.extensions["twilio_world"] = world
    app.extensions["twilio_lifecycle"] = Lifecycle(sim, world)
    # The bare form too: Twilio's paging addresses are relative to the host.
    for where, prefix in (("", API_PREFIX), ("_bare", "")):
        root = f"{prefix}/2010-04-01/Accounts"
        app.register_blueprint(numbers.accounts, url_prefix=root, name=f"twilio_accounts{where}")
        for view in (messages.blueprint, numbers.blueprint):
            app.register_blueprint(view, url_prefix=f"{root}/<account_sid>", name=view.name + where)
    app.register_blueprint(messaging.blueprint, url_prefix=MESSAGING_PREFIX)
    app.register_blueprint(messaging.lookups, url_prefix=LOOKUPS_PREFIX)
    app.register_blueprint(control.blueprint)
    app.register_error_handler(Refused, answer_refusal)


def resume(app: Flask) -> None:
    app.extensions["twilio_lifecycle"].resume()


TWILIO = Provider(
    key="twilio",
    name="Twilio",
    prefixes=("/twilio/", "/2010-04-01/"),
    install=install,
    resume=resume,
    refuse_with=refuse_with,
)
