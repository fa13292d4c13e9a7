"""Google's consent screen: the visitor picks an account, ticks what the app may do, and allows or denies.

The app's question stands in the address and travels along in the form, as it does at Google; nothing is kept until the
answer. The names of scopes come back as Google writes them: whoever asked for `email` is granted
`https://www.googleapis.com/auth/userinfo.email`. A form's target is held to this page's own policy, and browsers hold
the redirect after it to that policy as well, so the app's address is named there.
"""

import time
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import Blueprint, Response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from app.sandbox.google.access import AUTH, EMAIL, PROFILE, codes, world
from app.sandbox.google.records import Account, Client
from app.sandbox.google.tokens import CODE_LIVES_S, Code, allow
from app.sandbox.outbound import is_local
from app.sandbox.pages import only_own_forms

blueprint = Blueprint("google_consent", __name__)
blueprint.before_request(only_own_forms)

LONG_NAMES = {"email": EMAIL, "profile": PROFILE}
# Nobody can untick who they are.
ALWAYS = {
    "openid": "Associate you with your personal info",
    EMAIL: "See your primary Google Account email address",
    PROFILE: "See your personal info, including any you made publicly available",
}
WORDS = {
    "calendar": "See, edit, share and permanently delete all the calendars you can access",
    "calendar.readonly": "See and download any calendar you can access",
    "calendar.events": "View and edit events on all your calendars",
    "calendar.events.readonly": "View events on all your calendars",
    "calendar.events.owned": "See, create, change and delete events on calendars you own",
    "calendar.freebusy": "View your availability in your calendars",
    "calendar.calendarlist": "See, add and remove calendars you are subscribed to",
    "calendar.calendarlist.readonly": "See the list of calendars you are subscribed to",
    "gmail.send": "Send email on your behalf",
    "gmail.readonly": "View your email messages and settings",
    "gmail.modify": "Read, compose and send emails from your Gmail account",
    "contacts": "See, edit, download and permanently delete your contacts",
    "contacts.readonly": "See and download your contacts",
    "contacts.other.readonly": "See contact info automatically saved in your Other contacts",
}


class Blocked(Exception):
    """The app's question is wrong, and Google tells the person instead of the app."""

    def __init__(self, error: str, words: str) -> None:
        self.error = error
        self.words = words
        super().__init__(error)


@dataclass(frozen=True)
class Question:
    """What the app asks for."""

    query: str
    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str | None
    offline: bool
    prompts: frozenset[str]
    login_hint: str
    add: bool
    challenge: str
    method: str
    nonce: str

    @property
    def app(self) -> str:
        """As the page names it: by where it lives."""
        return urlsplit(self.redirect_uri).netloc

    @property
    def optional(self) -> list[tuple[str, str]]:
        """Scopes that may be unticked, with their words."""
        return [(s, WORDS.get(s.removeprefix(AUTH), s)) for s in self.scopes if s not in ALWAYS]

    @property
    def fixed(self) -> list[str]:
        return [ALWAYS[scope] for scope in self.scopes if scope in ALWAYS]


@blueprint.get("/o/oauth2/v2/auth")
def ask() -> ResponseReturnValue:
    try:
        question = read_question(request.query_string.decode())
    except Blocked as blocked:
        return _page(None, blocked=blocked), 400
    account = world().accounts.get(question.login_hint)
    if "none" in question.prompts:
        before = world().grants.get((account.email, question.client_id)) if account else None
        if account is None or before is None or not set(question.scopes) <= set(before.scopes):
            return _back(question, {"error": "interaction_required"})
        return _allowed(question, account, list(question.scopes))
    return _page(question)


@blueprint.post("/o/oauth2/v2/auth")
def answer() -> ResponseReturnValue:
    form = request.form
    try:
        question = read_question(form.get("query", ""))
    except Blocked as blocked:
        return _page(None, blocked=blocked), 400
    if form.get("answer") != "allow":
        return _back(question, {"error": "access_denied"})
    email = (form.get("other") or form.get("account") or "").strip().lower()
    if "@" not in email:
        return _page(question, error="Choose an account, or write the address of another one."), 422
    ticked = set(form.getlist("scope"))
    granted = [scope for scope in question.scopes if scope in ALWAYS or scope in ticked]
    if not granted:
        return _back(question, {"error": "access_denied"})
    return _allowed(question, world().welcome(email), granted)


def read_question(query: str) -> Question:
    """Raises Blocked with what Google's error page would say."""
    asked = dict(parse_qsl(query, keep_blank_values=True))
    for name in ("client_id", "redirect_uri", "response_type", "scope"):
        if not asked.get(name):
            raise Blocked("invalid_request", f"Missing required parameter: {name}")
    if asked["response_type"] != "code":
        raise Blocked("unsupported_response_type", f"Only code is played, not {asked['response_type']}")
    method = asked.get("code_challenge_method", "plain")
    if method not in ("plain", "S256"):
        raise Blocked("invalid_request", f"code_challenge_method {method} is not supported")
    scopes = tuple(dict.fromkeys(LONG_NAMES.get(scope, scope) for scope in asked["scope"].split()))
    wrong = [s for s in scopes if s not in ALWAYS and not s.startswith((AUTH, "https://mail.google.com/"))]
    if wrong:
        raise Blocked("invalid_scope", f"Some requested scopes were invalid: {', '.join(wrong)}")
    _check_address(asked["client_id"], asked["redirect_uri"])
    return Question(
        query=query,
        client_id=asked["client_id"],
        redirect_uri=asked["redirect_uri"],
        scopes=scopes,
        state=asked.get("state"),
        offline=asked.get("access_type") == "offline",
        prompts=frozenset(asked.get("prompt", "").split()),
        login_hint=asked.get("login_hint", "").strip().lower(),
        add=asked.get("include_granted_scopes") == "true",
        challenge=asked.get("code_challenge", ""),
        method=method,
        nonce=asked.get("nonce", ""),
    )


def _check_address(client_id: str, redirect_uri: str) -> None:
    parts = urlsplit(redirect_uri)
    if parts.fragment or (
        parts.scheme != "https" and not (parts.scheme == "http" and is_local(redirect_uri))
    ):
        raise Blocked("invalid_request", f"Invalid redirect_uri: {redirect_uri}")
    with world().lock:
        client = world().clients.setdefault(client_id, Client(client_id))
    if client.registered and redirect_uri not in client.redirect_uris:
        raise Blocked("redirect_uri_mismatch", f"{redirect_uri} is not registered for this app")


def _allowed(question: Question, account: Account, granted: list[str]) -> ResponseReturnValue:
    known = (account.email, question.client_id) in world().grants
    grant = allow(world(), account.email, question.client_id, granted, question.add)
    value = codes().give(
        Code(
            email=account.email,
            client_id=question.client_id,
            scopes=tuple(grant.scopes),
            redirect_uri=question.redirect_uri,
            challenge=question.challenge,
            method=question.method,
            offline=question.offline and (not known or "consent" in question.prompts),
            nonce=question.nonce,
            expires_at=time.time() + CODE_LIVES_S,
        )
    )
    more = {"code": value, "scope": " ".join(grant.scopes), "authuser": "0", "prompt": "consent"}
    return _back(question, more)


def _back(question: Question, more: dict[str, str]) -> ResponseReturnValue:
    if question.state is not None:
        more = {"state": question.state} | more
    mark = "&" if urlsplit(question.redirect_uri).query else "?"
    return redirect(question.redirect_uri + mark + urlencode(more))


def _page(question: Question | None, blocked: Blocked | None = None, error: str = "") -> Response:
    accounts = list(world().accounts.values())
    hinted = question.login_hint if question else ""
    chosen = hinted if hinted in world().accounts else (accounts[0].email if accounts else "")
    page = Response(
        render_template(
            "google_consent.html",
            here="consent",
            question=question,
            blocked=blocked,
            error=error,
            accounts=accounts,
            chosen=chosen,
            other=hinted if hinted and hinted not in world().accounts else "",
        )
    )
    if question:
        app = urlsplit(question.redirect_uri)
        page.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; "
            f"form-action 'self' {app.scheme}://{app.netloc}"
        )
    return page
