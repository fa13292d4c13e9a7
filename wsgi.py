"""The entry for gunicorn and granian: `wsgi:app`. Settings that cannot be used end here, each in one line."""

import sys

from app.config import ConfigError
from app.core import collector
from app.factory import create_app

try:
    app = create_app()
except ConfigError as error:
    sys.exit(str(error))
collector.spare_what_is_there()
