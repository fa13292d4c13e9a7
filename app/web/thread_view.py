"""What the templates of the thread need, put together once for the page, the polls and the answers to deeds."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import g, url_for

from app.core.clock import now
from app.core.ids import new_id
from app.core.request_scope import actor, db
from app.domain import access, later, snippets, threads
from app.domain.sending import prices, segments, senders
from app.domain.threads import Opened
from app.models.connection import Sender
from app.models.contact import Contact, ContactPoint
from app.models.conversation import Conversation
from app.models.message import WAITING_STATES, Attachment, Message
from app.models.user import User
from app.web.context import words

TEXT, COMMENT = "text", "comment"
# States in which the bubble itself says more than an icon: why it waits or did not go.
EXPLAINED = ("held", "scheduled", "refused", "failed", "checking")


@dataclass(frozen=True)
class Bubble:
    message: Message
    author: str
    # The heading above it when a new day begins, "" otherwise; `day_key` is the date itself.
    day: str
    day_key: str
    reason: str
    next_step: str

    @property
    def waits(self) -> bool:
        return self.message.state in WAITING_STATES

    @property
    def pictures(self) -> list[Attachment]:
        return self.message.attachments


@dataclass
class Shown:
    """A stretch of bubbles and the cursor to ask with next time."""

    bubbles: list[Bubble]
    after: int
    last_day: str
    has_older: bool = False
    replaced: set[UUID] = field(default_factory=set)

    @property
    def new(self) -> list[Bubble]:
        return [bubble for bubble in self.bubbles if bubble.message.id not in self.replaced]

    @property
    def changed(self) -> list[Bubble]:
        return [bubble for bubble in self.bubbles if bubble.message.id in self.replaced]

    @property
    def oldest(self) -> int:
        return self.bubbles[0].message.seq if self.bubbles else 0


def day_key(at: datetime) -> str:
    return at.astimezone(words().zone).date().isoformat()


def _reason(message: Message) -> tuple[str, str]:
    """The sentence and the next step that stand under a text that waits or did not go."""
    wanted = {"refused": ("refuse",), "held": ("hold",), "scheduled": ("hold",)}.get(message.state or "", ())
    # "Scheduled for …" is said by the time itself.
    steps = [s for s in message.trace if s.get("outcome") in wanted and s.get("step") != "schedule"]
    step: dict[str, Any] = steps[-1] if steps else {}
    if message.state in ("failed", "checking"):
        return message.error_text or "", ""
    return step.get("text") or message.error_text or "", step.get("next") or ""


def bubbles_of(messages: list[Message], previous_day: str = "") -> list[Bubble]:
    names = names_of([message.author_id for message in messages])
    found: list[Bubble] = []
    for message in messages:
        key = day_key(message.created_at)
        heading = "" if key == previous_day else words().day(message.created_at)
        previous_day = key
        reason, step = _reason(message) if message.state in EXPLAINED else ("", "")
        author = names.get(message.author_id, "Somebody") if message.author_id else ""
        found.append(Bubble(message, author, heading, key, reason, step))
    return found


def latest(conversation: Conversation) -> Shown:
    stretch = threads.latest(db(), conversation.id)
    # Who has left is looked up once for the bubbles and the header.
    names_of([conversation.assigned_to, *(message.author_id for message in stretch.messages)])
    bubbles = bubbles_of(stretch.messages)
    after = threads.cursor_of(stretch.messages, conversation.seq)
    return Shown(bubbles, after, bubbles[-1].day_key if bubbles else "", stretch.has_older)


def older(conversation: Conversation, before: int) -> Shown:
    stretch = threads.latest(db(), conversation.id, before)
    bubbles = bubbles_of(stretch.messages)
    return Shown(bubbles, 0, bubbles[-1].day_key if bubbles else "", stretch.has_older)


def changes(conversation_id: UUID, after: int, oldest: int, last_day: str) -> Shown:
    """New bubbles, and shown ones that changed; ones older than the oldest shown are left out."""
    newest = threads.seq_of(db(), conversation_id)
    messages = threads.changed_since(db(), conversation_id, after) if newest > after else []
    cursor = threads.cursor_of(messages, after)
    changed = [m for m in messages if oldest <= m.seq <= after]
    new = [m for m in messages if m.seq > after]
    fresh = bubbles_of(new, last_day)
    again = [Bubble(b.message, b.author, "", b.day_key, b.reason, b.next_step) for b in bubbles_of(changed)]
    return Shown(
        again + fresh,
        cursor,
        fresh[-1].day_key if fresh else last_day,
        replaced={m.id for m in changed},
    )


@dataclass
class Composer:
    """Everything the composer shows; `blocked` is why no text can go, `warning` what will happen to it."""

    conversation: Conversation
    contact: Contact
    senders: list[Sender]
    sender: Sender | None
    phones: list[ContactPoint]
    to: ContactPoint | None
    body: str = ""
    mode: str = TEXT
    client_key: str = field(default_factory=lambda: new_id().hex)
    attachments: list[Attachment] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    sent: bool = False

    @property
    def blocked(self) -> str:
        first = self.contact.first_name or "This contact"
        if not self.senders:
            return "No number is connected yet, so no text can be sent."
        if self.to is None:
            return f"{first} has no phone number yet. Add one to text them."
        if self.to.consent == "opted_out":
            when = f" on {words().day(self.to.consent_at)}" if self.to.consent_at else ""
            return f"{first} opted out of texts{when}, so nothing is sent to {words().phone(self.to.value)}."
        return ""

    @property
    def warning(self) -> str:
        state = self.sender.connection.state if self.sender else ""
        if state == "reconnect_needed":
            return (
                "Twilio refuses our credentials. Texts wait here and go by themselves once it is reconnected."
            )
        if state == "disconnected":
            return "This number is disconnected. Texts wait here until it is connected again."
        return ""

    @property
    def size(self) -> segments.Segments:
        return segments.count(self.body)

    @property
    def over(self) -> int:
        return max(0, len(self.body) - segments.MAX_CHARACTERS)

    @property
    def plain(self) -> str:
        """The same text in characters that cost less."""
        return segments.to_gsm(self.body)

    @property
    def missing(self) -> list[str]:
        return snippets.missing(self.body)

    @property
    def cost(self) -> str:
        if self.to is None or not (self.body.strip() or self.attachments):
            return ""
        estimate = prices.estimate(db(), self.to.value, self.body, len(self.attachments))
        return "" if estimate.micros is None else words().money(estimate.micros, estimate.currency)


def composer_for(
    conversation: Conversation,
    contact: Contact,
    last_address: str = "",
    *,
    sender_id: str = "",
    to: str = "",
    **values: Any,
) -> Composer:
    """From and To as chosen, else as in the last message, else the account's default and the first phone."""
    found = senders.senders_of(db(), conversation.account_id)
    wanted = sender_id or str(conversation.last_sender_id or "")
    sender = next((s for s in found if str(s.id) == wanted), found[0] if found else None)
    phones = [point for point in contact.points if point.kind == "phone"]
    by_value = {point.value: point for point in phones}
    chosen = by_value.get(to) or by_value.get(last_address) or (phones[0] if phones else None)
    return Composer(conversation, contact, found, sender, phones, chosen, **values)


def last_address(bubbles: list[Bubble]) -> str:
    return next((b.message.address for b in reversed(bubbles) if b.message.kind == "message"), "")


def people() -> list[User]:
    if "people" not in g:
        g.people = access.people_of_account(db(), g.account)
    found: list[User] = g.people
    return found


def names_of(ids: Iterable[UUID | None]) -> dict[UUID, str]:
    """Names by id: of those who are known already, and by one more query of the others."""
    wanted = {person_id for person_id in ids if person_id}
    if not wanted:
        return {}
    known: dict[UUID, str] = {person.id: person.name for person in g.get("people", ())} | g.get("names", {})
    if unknown := wanted - known.keys():
        g.names = g.get("names", {}) | threads.names_of(db(), unknown)
        known |= g.names
    return known


def thread_context(opened: Opened) -> dict[str, Any]:
    """For templates/inbox/_conversation.html."""
    conversation, contact, draft = opened.conversation, opened.contact, opened.draft
    shown = latest(conversation)
    composer = composer_for(
        conversation,
        contact,
        last_address(shown.bubbles),
        body=draft.body if draft else "",
        mode=COMMENT if draft and draft.is_comment else TEXT,
    )
    return header_context(conversation, contact) | {"shown": shown, "composer": composer}


def header_context(conversation: Conversation, contact: Contact) -> dict[str, Any]:
    name = names_of([conversation.assigned_to]).get(conversation.assigned_to or UUID(int=0))
    return {
        "conversation": conversation,
        "contact": contact,
        "title": contact_title(contact),
        "people": people(),
        "assignee": {"id": conversation.assigned_to, "name": name} if name else None,
        "later_presets": later.presets(g.account.zone),
        "is_snoozed": conversation.snoozed_until is not None and conversation.snoozed_until > now(),
        "me": actor().user_id,
        "thread_url": url_for("thread.show", account=g.account.slug, conversation_id=conversation.id),
    }


def contact_title(contact: Contact) -> str:
    """What a conversation is called: the name, else the number as people write it."""
    if contact.name or contact.company:
        return contact.name or contact.company
    phone = next((point.value for point in contact.points if point.kind == "phone"), "")
    return words().phone(phone) if phone else contact.display_name


def initials_of(name: str) -> str:
    letters = [part[0] for part in name.split() if part[0].isalpha()]
    return "".join(letters[:1] + letters[1:][-1:]).upper()


def myself() -> User | None:
    """The signed-in person's row."""
    me = actor().user_id
    return db().get(User, me) if me else None
