"""The simulator's pages: handsets, trouble panel, caught mail. They show; what they change goes through /_sim/…"""

import html
import re

from flask import Blueprint, Response, abort, render_template, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from app.sandbox.mail import Letter
from app.sandbox.state import simulator

blueprint = Blueprint("pages", __name__)

LINK = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]]")
# A letter's HTML is a stranger's: no scripts, no remote content, links open outside.
LETTER_CSP = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; frame-ancestors 'self'"
)


def only_own_forms() -> None:
    """Before forms that change the played world without a password: no other site may post them."""
    if request.method == "POST" and request.headers.get("Sec-Fetch-Site", "same-origin") not in (
        "same-origin",
        "none",
    ):
        abort(403, "Only the simulator's own pages may do this.")


@blueprint.get("/")
def handsets() -> ResponseReturnValue:
    return render_template("handsets.html", here="handsets")


@blueprint.get("/panel")
def panel() -> ResponseReturnValue:
    return render_template("panel.html", here="panel")


@blueprint.get("/mail")
def mail() -> ResponseReturnValue:
    return render_template("mail.html", here="mail", letters=simulator().mailbox.all(), letter=None)


def _find(letter_id: int) -> Letter:
    letter = simulator().mailbox.get(letter_id)
    if letter is None:
        abort(404)
    return letter


@blueprint.get("/mail/<int:letter_id>")
def letter(letter_id: int) -> ResponseReturnValue:
    found = _find(letter_id)
    return render_template(
        "mail.html",
        here="mail",
        letters=simulator().mailbox.all(),
        letter=found,
        text=with_links(found.text),
    )


@blueprint.get("/mail/<int:letter_id>/html")
def letter_html(letter_id: int) -> ResponseReturnValue:
    content = '<base target="_blank">' + _find(letter_id).html
    return Response(
        content, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": LETTER_CSP}
    )


def with_links(text: str) -> Markup:
    """The text, escaped, with its addresses made clickable."""
    parts: list[str] = []
    end = 0
    for match in LINK.finditer(text):
        url = html.escape(match.group())
        parts.append(html.escape(text[end : match.start()]))
        parts.append(f'<a href="{url}" target="_blank" rel="noopener noreferrer">{url}</a>')
        end = match.end()
    parts.append(html.escape(text[end:]))
    return Markup("".join(parts))
