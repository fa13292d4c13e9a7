"""Ben's played Google account, as an app with tokens sees it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from tests.sandbox.conftest import Sandbox

BEN = "ben@demo.test"
APP, SECRET = "an-app", "its-secret"
AUTH = "https://www.googleapis.com/auth/"
SCOPES = (
    "openid",
    f"{AUTH}userinfo.email",
    f"{AUTH}calendar.events",
    f"{AUTH}calendar.calendarlist.readonly",
    f"{AUTH}calendar.freebusy",
)


@dataclass
class Google:
    box: Sandbox
    tokens: dict[str, Any] = field(default_factory=dict)

    @property
    def api(self) -> str:
        return f"{self.box.url}/google/calendar/calendar/v3"

    @property
    def events_url(self) -> str:
        return f"{self.api}/calendars/primary/events"

    def sign_up(self, email: str = BEN, *, fill: bool = False, scopes: tuple[str, ...] = SCOPES) -> None:
        self.box.control("/google/accounts", email=email, name="Ben", timezone="America/New_York", fill=fill)
        self.tokens = self.box.control(
            "/google/grants", email=email, client_id=APP, client_secret=SECRET, scopes=list(scopes)
        ).json()

    def call(self, method: str, url: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.tokens['access_token']}"} | more.pop("headers", {})
        return self.box.http.request(method, url, headers=headers, timeout=10, **more)

    def events(self, **params: Any) -> dict[str, Any]:
        answer = self.call("GET", self.events_url, params=params)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def everything(self, **params: Any) -> tuple[list[dict[str, Any]], str]:
        """All pages, and the sync token of the last."""
        found: list[dict[str, Any]] = []
        page: dict[str, Any] = {}
        while True:
            page = self.events(**params, **({"pageToken": page["nextPageToken"]} if page else {}))
            found += page["items"]
            if "nextPageToken" not in page:
                return found, page.get("nextSyncToken", "")

    def insert(
        self, day: str = "2027-03-01", at: str = "10:00", minutes: int = 30, **more: Any
    ) -> dict[str, Any]:
        params = more.pop("params", {})
        answer = self.call("POST", self.events_url, json=timed(day, at, minutes) | more, params=params)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def change(self, ident: str, **patch: Any) -> requests.Response:
        return self.call("PATCH", f"{self.events_url}/{ident}", json=patch)

    def delete(self, ident: str) -> requests.Response:
        return self.call("DELETE", f"{self.events_url}/{ident}")

    def token(self, **form: Any) -> requests.Response:
        sent = {"client_id": APP, "client_secret": SECRET} | form
        return self.box.http.post(f"{self.box.url}/google/oauth/token", data=sent, timeout=10)

    def refresh(self, refresh_token: str = "") -> requests.Response:
        value = refresh_token or self.tokens["refresh_token"]
        return self.token(grant_type="refresh_token", refresh_token=value)


def timed(day: str, at: str, minutes: int, zone: str = "America/New_York") -> dict[str, Any]:
    start = datetime.fromisoformat(f"{day}T{at}")
    end = start + timedelta(minutes=minutes)
    return {
        "summary": "Visit",
        "start": {"dateTime": start.isoformat(), "timeZone": zone},
        "end": {"dateTime": end.isoformat(), "timeZone": zone},
    }


def reason(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["errors"][0]["reason"]


def in_utc(when: dict[str, Any]) -> str:
    return datetime.fromisoformat(when["dateTime"]).astimezone(UTC).strftime("%Y-%m-%d %H:%M")
