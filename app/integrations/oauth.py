"""A provider that is connected by consent (OAuth 2, authorization code with PKCE): what we ask for and why, and its tokens.

The exchange is requests-oauthlib's. Two traps of it: it writes tokens to the log at debug level, so its loggers are kept
quiet here whatever the log level is; and it refuses plain http, so it is always given the provider's real https address, which
core/http.py puts at the configured host. Who asks for which connection is in app/domain/consents.py.
"""

import logging
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import requests
import structlog
from oauthlib.oauth2 import OAuth2Error, WebApplicationClient
from requests_oauthlib import OAuth2Session
from sqlalchemy.orm import Session

from app.config import HOSTS
from app.core import http, runtime
from app.core.errors import Ambiguous, NeedsReconnect, Permanent, ProviderError, RateLimited, Temporary
from app.domain import tokens
from app.domain.tokens import Granted, GrantLost, Identity
from app.integrations import oauth_answers, quotas
from app.integrations.gate import ConnectionGate
from app.integrations.http import ApiClient, ETags
from app.models.connection import Connection

log = structlog.get_logger()

for _noisy in ("oauthlib", "requests_oauthlib"):
    logging.getLogger(_noisy).setLevel(logging.WARNING)

_ETAGS = ETags(1000)


@dataclass(frozen=True)
class Feature:
    """Something a connection can be used for. `why` is shown before the consent, `without` when it was not granted."""

    key: str
    name: str
    why: str
    without: str
    scopes: tuple[str, ...]
    # Pages of an account, below /a/<account>/, that do not work without it.
    pages: tuple[str, ...] = ()


@dataclass(frozen=True)
class OAuthProvider:
    """Addresses are the provider's real ones; `hosts` names the settings that lead elsewhere. Also a source of tokens."""

    key: str
    name: str
    hosts: tuple[str, ...]
    authorize_url: str
    token_url: str
    revoke_url: str
    identity_url: str
    identity_scopes: tuple[str, ...]
    features: tuple[Feature, ...]
    # Where a person takes back what they gave.
    permissions_url: str
    # Why a token for renewing dies at this provider.
    lost_because: str
    # Sent along to the consent page.
    extra: Mapping[str, str] = field(default_factory=dict)
    # Called in the transaction that stored a consent, for what else is to be done then; and before access is given back.
    on_connected: Callable[[Session, Connection], None] | None = None
    before_disconnect: Callable[[Connection], None] | None = None

    @property
    def is_set_up(self) -> bool:
        """Whether this installation has an app at the provider."""
        return self.key in runtime.current().settings.oauth_clients

    @property
    def redirect_uri(self) -> str:
        return f"{runtime.current().settings.public_url}/oauth/{self.key}/callback"

    def feature(self, key: str) -> Feature:
        """LookupError for one that there is not."""
        for feature in self.features:
            if feature.key == key:
                return feature
        raise LookupError(key)

    def scopes_for(self, features: Collection[str]) -> list[str]:
        wanted = [*self.identity_scopes]
        for feature in self.features:
            if feature.key in features:
                wanted += [scope for scope in feature.scopes if scope not in wanted]
        return wanted

    def granted(self, scopes: Collection[str]) -> list[Feature]:
        """The features for which everything was granted."""
        return [feature for feature in self.features if set(feature.scopes) <= set(scopes)]

    # The consent

    def consent_url(self, *, state: str, verifier: str, features: Collection[str], hint: str = "") -> str:
        """Where the browser goes, at the configured host. `hint` is the account that is expected."""
        client_id, _ = self._client()
        challenge = WebApplicationClient(client_id).create_code_challenge(verifier, "S256")
        session = OAuth2Session(client_id, redirect_uri=self.redirect_uri, scope=self.scopes_for(features))
        url, _ = session.authorization_url(
            self.authorize_url,
            state,
            code_challenge=challenge,
            code_challenge_method="S256",
            **self.extra,
            **({"login_hint": hint} if hint else {}),
        )
        return http.configured_url(str(url), self.bases())

    def exchange(self, code: str, verifier: str) -> Granted:
        """Raises Permanent when the code is refused, Temporary or Ambiguous for trouble on the way."""
        _, secret = self._client()
        session = self._session()
        session.redirect_uri = self.redirect_uri
        session.register_compliance_hook("access_token_response", self._must_be_tokens)
        try:
            found = session.fetch_token(
                self.token_url,
                code=code,
                client_secret=secret,
                include_client_id=True,
                code_verifier=verifier,
                timeout=(http.CONNECT_S, http.READ_S),
            )
        except OAuth2Error as error:
            raise Permanent(self._setup_words(error) or self._code_words(), error.error or "") from None
        except requests.RequestException as error:
            raise self._broken(error) from None
        return oauth_answers.granted(found)

    # A source of tokens

    def refresh(self, refresh_token: str) -> Granted:
        client_id, secret = self._client()
        session = self._session()
        session.register_compliance_hook("refresh_token_response", self._must_be_tokens)
        try:
            found = session.refresh_token(
                self.token_url,
                refresh_token=refresh_token,
                client_id=client_id,
                client_secret=secret,
                timeout=(http.CONNECT_S, http.READ_S),
            )
        except OAuth2Error as error:
            if error.error == "invalid_grant":
                raise self._lost(str(error.description or "")) from None
            words = self._setup_words(error) or f"{self.name} did not renew our access ({error.error})."
            raise Temporary(words, error.error or "") from None
        except requests.RequestException as error:
            raise self._broken(error) from None
        granted = oauth_answers.granted(found)
        # The library repeats the one that it sent when the provider gave no new one.
        same = granted.refresh_token == refresh_token
        return Granted(
            granted.access_token, "" if same else granted.refresh_token, granted.expires_in, granted.scopes
        )

    def probe(self, access_token: str) -> Identity:
        body = self._ask("GET", self.identity_url, headers={"Authorization": f"Bearer {access_token}"})
        ref, name = (
            str(body.get("sub") or body.get("id") or ""),
            str(body.get("email") or body.get("name") or ""),
        )
        if not ref:
            raise Temporary(f"{self.name} did not say whose account it is.", "no_identity")
        return Identity(ref, name or ref)

    def revoke(self, token: str) -> None:
        """Gives everything back that was granted to us. A token that is unknown by now is as good as given back."""
        try:
            self._ask("POST", self.revoke_url, data={"token": token})
        except (Permanent, NeedsReconnect):
            return

    # Calls with a connection's tokens

    def tokens(self, connection_id: uuid.UUID) -> Callable[[int | None], tuple[str, int]]:
        """What ApiClient asks for tokens."""

        def ask(not_version: int | None = None) -> tuple[str, int]:
            return tokens.fresh(connection_id, self, not_version=not_version)

        return ask

    def client(self, connection_id: uuid.UUID, api: str, base: str) -> ApiClient:
        """To call one of the provider's APIs with; `api` names its quota in quotas.py, `base` is its real address."""
        return ApiClient(
            provider=self.key,
            name=self.name,
            connection_id=connection_id,
            base=base,
            hosts=self.bases(),
            tokens=self.tokens(connection_id),
            gate=ConnectionGate(connection_id, self.name, quotas.buckets(self.key, api, connection_id)),
            etags=_ETAGS,
        )

    def bases(self) -> dict[str, str]:
        """From the real bases to the configured ones."""
        settings = runtime.current().settings
        return {HOSTS[name]: settings.host(name) for name in self.hosts}

    # How it answers

    def _client(self) -> tuple[str, str]:
        found = runtime.current().settings.oauth_clients.get(self.key)
        if found is None:
            raise Permanent(
                f"This installation has no app at {self.name} yet: {self.key.upper()}_CLIENT_ID is not set.",
                "no_client",
            )
        return found

    def _session(self) -> OAuth2Session:
        session = OAuth2Session(self._client()[0])
        http.prepare(session, self.bases())
        return session

    def _ask(self, method: str, url: str, **named: Any) -> dict[str, Any]:
        try:
            response = http.session_to(self.bases()).request(
                method, url, timeout=(http.CONNECT_S, http.READ_S), allow_redirects=False, **named
            )
        except requests.RequestException as error:
            raise self._broken(error) from None
        self._must_be_an_answer(response)
        if response.status_code == 401:
            raise NeedsReconnect(f"{self.name} no longer accepts our access.", "401")
        if response.status_code >= 400:
            raise Permanent(f"{self.name} said no ({response.status_code}).", str(response.status_code))
        try:
            body = response.json()
        except ValueError:
            body = {}
        return body if isinstance(body, dict) else {}

    def _must_be_tokens(self, response: requests.Response) -> requests.Response:
        self._must_be_an_answer(response)
        oauth_answers.need_token_answer(response, self.name)
        return response

    def _must_be_an_answer(self, response: requests.Response) -> requests.Response:
        """A 5xx, a 429 or a page that somebody else wrote says nothing about the grant."""
        status = response.status_code
        self._log(response.url, status, response.elapsed)
        wait = http.retry_after(response.headers.get("Retry-After", ""))
        if status == 429:
            raise RateLimited(f"{self.name} asks us to go slower.", "429", after=wait)
        if status >= 500 or 300 <= status < 400 or status in (408, 425):
            trouble = Temporary(f"{self.name} had a problem of its own ({status}).", str(status))
            trouble.after = wait
            raise trouble
        if response.content and not response.headers.get("Content-Type", "").startswith("application/json"):
            raise Temporary(f"An answer came that is not {self.name}'s ({status}).", "unreadable")
        return response

    def _log(self, url: str, status: int, took: timedelta) -> None:
        """One line for each call, as app/integrations/http.py writes; the path names the operation."""
        ms = round(took.total_seconds() * 1000)
        log.info("provider.call", provider=self.key, op=f"oauth{urlsplit(url).path}", status=status, ms=ms)

    def _broken(self, error: requests.RequestException) -> ProviderError:
        if error.request is not None:
            self._log(error.request.url or "", 0, timedelta())
        if http.never_arrived(error):
            return Temporary(f"{self.name} could not be reached.", "unreached")
        return Ambiguous(
            f"The connection to {self.name} broke before its answer came.", "broken", settled=False
        )

    def _lost(self, description: str) -> GrantLost:
        said = f" It says: {description.rstrip('.')}." if description else ""
        withdrawn = "revoked" in description.lower()
        words = f"{self.name} no longer lets us in.{said} {self.lost_because}"
        return GrantLost(words, "invalid_grant", withdrawn=withdrawn)

    def _setup_words(self, error: OAuth2Error) -> str:
        if error.error not in ("invalid_client", "unauthorized_client", "redirect_uri_mismatch"):
            return ""
        return (
            f"{self.name} does not know this installation's app ({error.error}). Whoever runs it has to look at "
            f"{self.key.upper()}_CLIENT_ID, {self.key.upper()}_CLIENT_SECRET and the redirect address {self.redirect_uri}."
        )

    def _code_words(self) -> str:
        return (
            f"{self.name} did not accept the consent. It lasts for a few minutes only; please try once more."
        )
