"""The blueprints of all pages, in the order of the sidebar."""

from app.web import (
    account_people,
    account_settings,
    agency,
    audit,
    auth,
    composer,
    health,
    inbox,
    media,
    messages,
    palette,
    people,
    profile,
    snippets,
    thread,
)

BLUEPRINTS = (
    health.blueprint,
    auth.blueprint,
    inbox.blueprint,
    thread.blueprint,
    messages.blueprint,
    composer.blueprint,
    snippets.blueprint,
    media.blueprint,
    account_settings.blueprint,
    account_people.blueprint,
    agency.blueprint,
    people.blueprint,
    audit.blueprint,
    profile.blueprint,
    palette.blueprint,
)
