"""Google as a provider that is connected by consent.

Scopes are the smallest that do the work. Free/busy needs one of its own: calendar.events alone does not authorise it.
https://developers.google.com/identity/protocols/oauth2/web-server
"""

from app.integrations.oauth import Feature, OAuthProvider

SCOPE = "https://www.googleapis.com/auth/"

GOOGLE = OAuthProvider(
    key="google",
    name="Google",
    hosts=(
        "GOOGLE_ACCOUNTS_BASE_URL",
        "GOOGLE_OAUTH_BASE_URL",
        "GOOGLE_OIDC_BASE_URL",
        "GOOGLE_WWW_BASE_URL",
        "GOOGLE_GMAIL_BASE_URL",
        "GOOGLE_PEOPLE_BASE_URL",
    ),
    authorize_url="https://accounts.google.com/o/oauth2/v2/auth",
    token_url="https://oauth2.googleapis.com/token",
    revoke_url="https://oauth2.googleapis.com/revoke",
    identity_url="https://openidconnect.googleapis.com/v1/userinfo",
    identity_scopes=("openid", "email"),
    permissions_url="https://myaccount.google.com/connections",
    lost_because=(
        "That happens when somebody removes Levelhead from the Google account, changes its password, or does not use "
        "it for six months; after 7 days while the app is still being tested at Google; and when one account was "
        "connected more than 100 times."
    ),
    # Without prompt=consent a second consent comes without the token for renewing.
    extra={"access_type": "offline", "include_granted_scopes": "true", "prompt": "consent"},
    features=(
        Feature(
            key="calendar",
            name="Calendar",
            why="See when you are busy, so that nobody books over it, and write bookings into the calendar you choose.",
            without="Bookings are not checked against this calendar, and are not written to it.",
            scopes=(
                f"{SCOPE}calendar.events",
                f"{SCOPE}calendar.calendarlist.readonly",
                f"{SCOPE}calendar.freebusy",
            ),
            pages=("calendar", "bookings", "settings/calendars", "settings/connections"),
        ),
        Feature(
            key="mail",
            name="Mail",
            why="Read and answer customers' mails from the inbox here.",
            without="Mails do not appear in the inbox.",
            scopes=(f"{SCOPE}gmail.modify",),
            pages=("inbox", "settings/connections"),
        ),
        Feature(
            key="contacts",
            name="Contacts",
            why="Take over names and addresses of the people you know.",
            without="Contacts are not taken over.",
            scopes=(f"{SCOPE}contacts.readonly", f"{SCOPE}contacts.other.readonly"),
            pages=("contacts", "settings/connections"),
        ),
    ),
)
