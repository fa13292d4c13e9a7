"""The base of all forms: fields from the request, and the domain's sentences put next to the fields they are about."""

from collections.abc import Sequence
from typing import Any

from flask import request
from werkzeug.datastructures import CombinedMultiDict
from wtforms import Form as WTForm

from app.core.errors import Invalid


class Form(WTForm):
    """CSRF is checked for the whole app before a view runs, so forms carry none themselves."""

    def show(self, wrong: Invalid) -> None:
        """Sentences for fields the form does not have go above it."""
        for name, sentence in wrong.fields.items():
            field = self._fields.get(name)
            target: Sequence[str] = field.errors if field is not None else self.form_errors
            errors = [*target, sentence]
            if field is not None:
                field.errors = errors
            else:
                self.form_errors = errors


def sent() -> Any:
    """Fields and files of this request, as WTForms takes them."""
    return CombinedMultiDict([request.form, request.files])
