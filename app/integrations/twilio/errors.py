"""Twilio's error codes in words for the person who sent the text: https://www.twilio.com/docs/api/errors

Each says what happened, what to do next, and whether sending the same text again can help. A code that is not here is
shown with Twilio's own message.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    sentence: str
    next_step: str
    retry_helps: bool = False

    @property
    def text(self) -> str:
        return f"{self.sentence} {self.next_step}".strip()


_REGISTER = "Finish the registration for texting in the US in the Twilio console, then send it again."
_NUMBER = "Check the contact's number."
_CONSOLE = "Look at the account in the Twilio console."
_LATER = "Try again later."
_LESS = "Send it again when the limit has reset, or ask Twilio to raise the limit."

TABLE: dict[str, Words] = {
    # The account and its credentials
    "10001": Words("The Twilio account is not active.", _CONSOLE, True),
    "20003": Words("Twilio refused our credentials.", "Reconnect Twilio with the current auth token.", True),
    "20005": Words("The Twilio account is not active.", _CONSOLE, True),
    "20006": Words(
        "Twilio does not allow these credentials to do that.", "Reconnect with the main auth token.", True
    ),
    "20008": Words(
        "These are Twilio test credentials, which cannot send.", "Reconnect with live credentials.", True
    ),
    "20403": Words("Twilio does not allow this account to do that.", _CONSOLE, True),
    "20404": Words("Twilio does not know what was asked for.", "Run the connection's test.", False),
    "20429": Words("Twilio asked us to slow down.", "It is sent as soon as Twilio allows.", True),
    "70051": Words(
        "The API key may not send texts.", "Give the key that right, or connect without it.", True
    ),
    # Refused at once: the receiver
    "21211": Words("The number is not a valid phone number.", _NUMBER),
    "21214": Words("The number cannot be reached by text.", _NUMBER),
    "21217": Words("The number does not look like a phone number.", _NUMBER),
    "21265": Words("Texts cannot be sent to a short code.", _NUMBER),
    "21266": Words(
        "The text was addressed to the number it leaves from.", "Choose another number to send from."
    ),
    "21408": Words(
        "Texting to this country is switched off in the Twilio account.",
        "Allow the country under Messaging, Geo permissions in the Twilio console, then send it again.",
        True,
    ),
    "21608": Words(
        "A Twilio trial account only texts numbers that were verified there.",
        "Verify this number in the Twilio console or upgrade the account.",
        True,
    ),
    "21610": Words(
        "This person has opted out of texts from this number.",
        "They can text START to get messages again.",
    ),
    "21612": Words(
        "Twilio cannot carry a text from our number to this one.", "Try another number to send from.", True
    ),
    "21614": Words("The number cannot receive texts; it is not a mobile number.", _NUMBER),
    "21635": Words("The number is a landline and cannot receive texts.", "Call, or ask for a mobile number."),
    # Refused at once: our number, our words
    "21212": Words("The number to send from is not valid.", "Refresh the numbers of the connection."),
    "21603": Words("No number to send from was chosen.", "Choose a number and send it again.", True),
    "21606": Words(
        "The number to send from cannot send texts or is not in this Twilio account.",
        "Refresh the numbers of the connection and choose another.",
        True,
    ),
    "21659": Words(
        "The number to send from is not in this Twilio account.",
        "Refresh the numbers of the connection.",
        True,
    ),
    "21660": Words(
        "The number to send from belongs to another Twilio account.",
        "Refresh the numbers of the connection.",
        True,
    ),
    "21661": Words("The number to send from cannot send texts.", "Choose another number.", True),
    "21602": Words("The text was empty.", "Write something or add a picture."),
    "21604": Words("There was no number to send to.", "Add a phone number to the contact."),
    "21609": Words(
        "Twilio did not accept our address for reports.",
        "Set PUBLIC_URL to an address Twilio can reach.",
        True,
    ),
    "21611": Words(
        "Too many texts from this number are already waiting at Twilio.",
        "It is sent when that queue is shorter.",
        True,
    ),
    "21617": Words("The text is longer than 1,600 characters.", "Shorten it or send it in two parts."),
    "21619": Words("The text was empty.", "Write something or add a picture."),
    "21620": Words("Twilio could not read the picture's address.", "Attach the picture again.", True),
    "21623": Words("More than ten pictures were attached.", "Send them in several texts."),
    "21703": Words(
        "The messaging service has no number to send from.", "Add a number to it in the Twilio console.", True
    ),
    "21704": Words(
        "The messaging service has no number to send from.", "Add a number to it in the Twilio console.", True
    ),
    "21705": Words("The messaging service does not exist any more.", "Reconnect with a current one.", True),
    "21710": Words("The number already belongs to a messaging service.", _CONSOLE),
    "21712": Words("The number to send from is not in the messaging service.", _CONSOLE, True),
    # Taken, then not delivered
    "11200": Words(
        "Twilio could not fetch the picture from us.", "Check that PUBLIC_URL is reachable.", True
    ),
    "12300": Words("Twilio cannot send a file of this type.", "Send a JPEG, PNG or GIF."),
    "14107": Words("Too many texts went to this number in a short time.", _LATER, True),
    "30001": Words("Twilio's queue for this number was full.", _LATER, True),
    "30002": Words("The Twilio account was suspended.", _CONSOLE, True),
    "30003": Words(
        "The phone could not be reached: switched off, out of reach or not able to receive texts.",
        _LATER,
        True,
    ),
    "30004": Words(
        "The text was blocked: the person or their carrier does not accept it.", "Reach them in another way."
    ),
    "30005": Words("The number does not exist or is no longer in use.", _NUMBER),
    "30006": Words(
        "The number is a landline, or its carrier takes no texts.", "Call, or ask for a mobile number."
    ),
    "30007": Words(
        "The carrier filtered the text as unwanted.",
        "Change the words: fewer links, no capitals, say who you are.",
    ),
    "30008": Words("The carrier did not deliver the text and gave no reason.", _LATER, True),
    "30009": Words("A part of the text was lost on the way.", "Send it again.", True),
    "30010": Words(
        "The text would have cost more than the limit set at Twilio.", "Raise the limit at Twilio.", True
    ),
    "30011": Words("Pictures cannot be sent to this number.", "Send the words without the picture."),
    "30017": Words("The carrier's network was too busy.", _LATER, True),
    "30019": Words("The picture is too large for the carrier.", "Send a smaller picture."),
    "30022": Words("The carrier's limit per minute for this brand was reached.", _LATER, True),
    "30023": Words("The carrier's daily limit for this brand was reached.", _LESS, True),
    "30024": Words(
        "The number's registration is not complete at the carrier yet.", "Try again tomorrow.", True
    ),
    "30026": Words("The carrier's limit for this campaign was reached.", _LATER, True),
    "30027": Words("The daily limit of texts to T-Mobile was reached.", _LESS, True),
    "30029": Words("The campaign's registration was taken back.", _REGISTER, True),
    "30031": Words("The campaign's registration is not complete.", _REGISTER, True),
    "30032": Words(
        "The toll-free number is not verified yet.",
        "Finish the toll-free verification in the Twilio console, then send it again.",
        True,
    ),
    "30033": Words("The campaign is suspended.", _REGISTER, True),
    "30034": Words("The number is not registered for business texting in the US.", _REGISTER, True),
    "30035": Words(
        "The number's registration is not complete: it has just been moved or added.",
        "Try again tomorrow.",
        True,
    ),
    "30036": Words("The text waited longer than it was allowed to.", "Send it again.", True),
    "30410": Words("The carrier did not answer in time.", _LATER, True),
    "30450": Words("The text was held back by Twilio's fraud protection.", _CONSOLE),
    "30453": Words("The text was held back by Twilio's fraud protection.", _CONSOLE),
    "30454": Words("The trial account's limit of texts was reached.", "Upgrade the Twilio account.", True),
    "30500": Words("Twilio had a problem of its own.", _LATER, True),
    "63038": Words("The Twilio account's daily limit of texts was reached.", _LESS, True),
}


def words_for(code: str) -> Words | None:
    return TABLE.get(code)


def explain(code: str) -> str:
    """What happened and what to do next; '' for a code that is not in the table."""
    found = TABLE.get(code)
    return found.text if found else ""


def retry_helps(code: str) -> bool:
    """Whether sending the same text again may end better. Without a code nothing speaks against it."""
    found = TABLE.get(code)
    return found.retry_helps if found else not code


def sentence(code: str, message: str) -> str:
    """For a refusal: our words, else Twilio's own."""
    return explain(code) or (
        f"Twilio says: {message.strip()[:200]}" if message.strip() else "Twilio refused the text."
    )
