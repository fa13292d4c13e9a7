"""The blueprints of all pages, in the order of the sidebar."""

from app.web import health

BLUEPRINTS = (health.blueprint,)
