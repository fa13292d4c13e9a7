"""The blueprints of all pages, in the order of the sidebar."""

from app.web import (
    account_people,
    account_settings,
    agency,
    audit,
    auth,
    health,
    palette,
    people,
    profile,
)

BLUEPRINTS = (
    health.blueprint,
    auth.blueprint,
    account_settings.blueprint,
    account_people.blueprint,
    agency.blueprint,
    people.blueprint,
    audit.blueprint,
    profile.blueprint,
    palette.blueprint,
)
