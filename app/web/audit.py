"""The audit log as the agency's owners read it: filters, plain words, keyset paging."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from flask import Blueprint, render_template, request
from flask_login import current_user
from sqlalchemy import Select, func, select

from app.core.ids import parse_id
from app.core.request_scope import db
from app.models.account import Account
from app.models.audit import AuditEntry
from app.models.user import User
from app.web.agency import need_owner

blueprint = Blueprint("audit", __name__, url_prefix="/agency/audit")

PAGE = 50

# What each action is called, said after the person's name.
WORDS = {
    "user.signed_in": "signed in",
    "user.sign_in_failed": "could not sign in: wrong e-mail or password",
    "user.sign_in_throttled": "was stopped after too many tries to sign in",
    "user.signed_out": "signed out",
    "user.signed_out_everywhere": "signed out everywhere",
    "user.session_ended": "signed out another browser",
    "user.password_changed": "changed their password",
    "user.reset_asked": "asked for a new password",
    "user.password_reset": "chose a new password by mail",
    "agency.created": "set up the agency",
    "user.created": "added",
    "user.password_set": "set a password for",
    "user.invited": "invited",
    "user.invited_again": "sent the invitation again to",
    "user.invitation_revoked": "took back the invitation of",
    "user.invitation_accepted": "accepted the invitation",
    "user.role_changed": "changed the role of",
    "user.added_to_account": "gave an account to",
    "user.removed_from_account": "took an account from",
    "user.disabled": "disabled",
    "user.enabled": "enabled",
    "user.renamed": "changed their name",
    "account.created": "created the account",
    "account.changed": "changed the settings of",
    "account.archived": "archived the account",
    "account.restored": "brought back the account",
    "account.logo_changed": "changed the logo of",
    "account.logo_removed": "removed the logo of",
    "connection.connected": "connected",
    "connection.reconnected": "reconnected",
    "connection.readable_again": "can open the credentials again of",
    "connection.tested": "tested the connection",
    "connection.disconnected": "disconnected",
    "connection.changed": "changed the connection",
    "connection.default_changed": "made the default number",
    "connection.pace_changed": "changed the pace of",
    "linked_calendar.conflicts_on": "lets bookings keep clear of the calendar",
    "linked_calendar.conflicts_off": "no longer lets bookings keep clear of the calendar",
    "linked_calendar.target": "lets bookings be written to the calendar",
    "linked_calendar.no_target": "lets bookings be written to no calendar any more",
    "connection.number_taken_over": "took over the number",
    "connection.reconnect_needed": "found that a connection needs new credentials:",
    "connection.revoked": "found that access was withdrawn:",
    "connection.link_made": "made a link to reconnect",
    "connection.link_taken_back": "took back the link to reconnect",
    "contact.deleted": "deleted the contact",
    "contact.restored": "brought back the contact",
    "contact.consent_recorded": "recorded consent for",
    "contact.exported": "exported contacts",
    "calendar.created": "made the calendar",
    "calendar.changed": "changed the calendar",
    "calendar.hosts": "set the hosts of the calendar",
    "calendar.questions": "set the questions of the calendar",
    "calendar.switched_on": "switched on the calendar",
    "calendar.switched_off": "switched off the calendar",
    "calendar.archived": "archived the calendar",
    "calendar.restored": "brought back the calendar",
    "schedule.created": "made the working hours",
    "schedule.changed": "changed the working hours",
    "schedule.deleted": "deleted the working hours",
    "custom_field.created": "added the field",
    "custom_field.renamed": "renamed a field to",
    "custom_field.deleted": "deleted the field",
    "notice.added": "added the notice",
    "notice.changed": "changed the words of the notice",
    "notice.switched_on": "switched on the notice",
    "notice.switched_off": "switched off the notice",
    "notice.reset": "put back the first words of the notice",
    "notice.deleted": "deleted the notice",
    "event.replayed": "replayed",
    "event.content_shown": "read the content of the event",
    "event.given_up": "gave up on the event",
    "event.tried_again": "tried the calendar event again for",
}
# These say it all without naming the subject again: it is the person.
ABOUT_SELF = {a for a in WORDS if a.startswith(("user.sign", "user.session", "user.password", "user.reset"))}
ABOUT_SELF -= {"user.password_set"}
ABOUT_SELF |= {"user.invitation_accepted", "user.renamed"}
GROUPS = {
    "user.sign": "Signing in and out",
    "user.": "People and passwords",
    "account.": "Accounts",
    "connection.": "Connections",
    "calendar.": "Calendars",
    "linked_calendar.": "Linked calendars",
    "schedule.": "Working hours",
    "notice.": "Notices",
    "custom_field.": "Custom fields",
    "contact.": "Contacts",
    "event.": "Events",
}
# What the fields of an account are called in "changed: …".
FIELDS = {
    "quiet_from": "quiet hours",
    "quiet_until": "quiet hours",
    "quiet_reply_minutes": "answers in quiet hours",
    "timezone": "time zone",
    "brand_colour": "colour",
    "daily_message_quota": "texts a day",
    "messages_per_second": "texts a second",
}


@blueprint.get("")
def show() -> str:
    need_owner()
    agency_id = current_user.user.agency_id
    entries, more = _entries()
    people = db().scalars(select(User).where(User.agency_id == agency_id).order_by(func.lower(User.name)))
    accounts = db().scalars(
        select(Account).where(Account.agency_id == agency_id).order_by(func.lower(Account.name))
    )
    account_list = list(accounts)
    filters = {name: request.args.get(name, "") for name in ("person", "account", "kind", "since", "until")}
    return render_template(
        "agency/audit.html",
        nav="agency-audit",
        entries=[(entry, sentence(entry), remark(entry)) for entry in entries],
        older=entries[-1].id if more else None,
        paged="before" in request.args,
        people=list(people),
        accounts=account_list,
        account_names={a.id: a.name for a in account_list},
        groups=GROUPS,
        filters={name: value for name, value in filters.items() if value},
    )


def _entries() -> tuple[list[AuditEntry], bool]:
    query = _narrowed(select(AuditEntry).where(AuditEntry.agency_id == current_user.user.agency_id))
    before = parse_id(request.args.get("before"))
    if before is not None:
        query = query.where(AuditEntry.id < before)
    # Ids are ordered by time, so the newest come first and a page is a walk along the index.
    found = list(db().scalars(query.order_by(AuditEntry.id.desc()).limit(PAGE + 1)))
    return found[:PAGE], len(found) > PAGE


def _narrowed(query: Select[AuditEntry]) -> Select[AuditEntry]:
    """Filters that make no sense are left out rather than refused."""
    person, account = parse_id(request.args.get("person")), parse_id(request.args.get("account"))
    if person is not None:
        query = query.where(AuditEntry.user_id == person)
    if account is not None:
        query = query.where(AuditEntry.account_id == account)
    kind = request.args.get("kind")
    if kind in GROUPS:
        query = query.where(AuditEntry.action.startswith(kind, autoescape=True))
    since, until = _day(request.args.get("since")), _day(request.args.get("until"))
    if since is not None:
        query = query.where(AuditEntry.created_at >= since)
    if until is not None and until.date() < date.max:
        query = query.where(AuditEntry.created_at < until + timedelta(days=1))
    return query


def _day(text: str | None) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(text or ""), time(), UTC)
    except ValueError:
        return None


def sentence(entry: AuditEntry) -> str:
    """What was done, without who did it."""
    words = WORDS.get(entry.action)
    if words is None:
        noun, _, verb = entry.action.partition(".")
        words = f"{noun} {verb}".replace("_", " ") + ":" * bool(entry.subject)
    return words if entry.action in ABOUT_SELF else f"{words} {entry.subject}".strip()


def remark(entry: AuditEntry) -> str:
    """The one or two details worth a second line."""
    detail: dict[str, Any] = entry.detail
    if entry.action in ("user.sign_in_failed", "user.sign_in_throttled", "user.reset_asked"):
        return entry.subject if detail.get("known") else f"{entry.subject} (nobody here)"
    if "before" in detail:
        return f"from {detail['before']} to {detail.get('after', entry.subject)}"
    if isinstance(detail.get("changes"), dict):
        return ", ".join(
            dict.fromkeys(FIELDS.get(name, name.replace("_", " ")) for name in detail["changes"])
        )
    if detail.get("accounts"):
        return f"{', '.join(detail['accounts'])} ({detail.get('role', '')})"
    return str(detail.get("role") or detail.get("reason") or "")
