"""Codes, access and refresh tokens, as Google's token endpoint hands them out.

Facts played (developers.google.com/identity/protocols/oauth2/web-server): a code works once and for ten minutes, with the
redirect address and the PKCE verifier it was asked with; a refresh token comes only with access_type=offline, and for
somebody who allowed the app before only with prompt=consent; at most 100 refresh tokens live for a person and an app,
the oldest dies without a word; revoking any token takes back the person's whole grant to the app, so every other token of
that app dies as well. Rotation is no habit of Google's today; the panel can turn it on.
"""

import base64
import hashlib
import secrets
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

from app.sandbox.google.errors import TokenRefused
from app.sandbox.google.records import Account, Client, Grant, Token, stamp
from app.sandbox.google.world import GoogleWorld

CODE_LIVES_S = 600
# For an app in testing; the answer then says so in refresh_token_expires_in, which is missing once the app is published.
TESTING_LIVES_S = 7 * 86400
MAX_REFRESH_TOKENS = 100
MAX_ACCESS_TOKENS = 2000
ISSUER = "https://accounts.google.com"
GONE = "Token has been expired or revoked."


@dataclass(frozen=True)
class Code:
    email: str
    client_id: str
    scopes: tuple[str, ...]
    redirect_uri: str
    challenge: str
    method: str
    offline: bool
    nonce: str
    expires_at: float


class Codes:
    """Authorization codes given out and not used yet. Not kept over a restart: they live for minutes."""

    def __init__(self) -> None:
        self._open: dict[str, Code] = {}

    def give(self, code: Code) -> str:
        value = "4/0A" + secrets.token_urlsafe(45)
        self._open = {kept: each for kept, each in self._open.items() if each.expires_at > time.time()}
        self._open[value] = code
        return value

    def take(self, value: str) -> Code:
        code = self._open.pop(value, None)
        if code is None or code.expires_at <= time.time():
            raise TokenRefused("invalid_grant", "Malformed auth code.")
        return code


def allow(world: GoogleWorld, email: str, client_id: str, scopes: list[str], add: bool) -> Grant:
    """Note what a person allowed an app; `add` keeps what was allowed before (include_granted_scopes)."""
    with world.lock:
        before = world.grants.get((email, client_id))
        kept = before.scopes if before and add else []
        every = [*kept, *(scope for scope in scopes if scope not in kept)]
        # What the person sees under "apps with access" only grows until it is taken back.
        shown = [*(before.scopes if before else []), *every]
        world.grants[email, client_id] = Grant(email, client_id, list(dict.fromkeys(shown)), stamp())
        world.touch()
        return Grant(email, client_id, every, stamp())


def check_client(world: GoogleWorld, client_id: str, secret: str) -> Client:
    """Raises TokenRefused(invalid_client). Of an app nobody registered, the first secret shown is the right one."""
    with world.lock:
        client = world.clients.get(client_id)
        if client is None:
            raise TokenRefused("invalid_client", "The OAuth client was not found.", 401)
        if not client.registered and not client.secret:
            client.secret = secret
            world.touch()
        if not secret or not secrets.compare_digest(client.secret.encode(), secret.encode()):
            raise TokenRefused("invalid_client", "Unauthorized", 401)
        return client


def redeem(
    world: GoogleWorld, code: Code, redirect_uri: str, client_id: str, verifier: str
) -> dict[str, Any]:
    """The token answer for an authorization code."""
    if code.client_id != client_id:
        raise TokenRefused("invalid_grant", "Bad Request")
    if code.redirect_uri != redirect_uri:
        raise TokenRefused("redirect_uri_mismatch", "Bad Request")
    if code.challenge:
        if not verifier:
            raise TokenRefused("invalid_grant", "Missing code verifier.")
        if _challenge_of(verifier, code.method) != code.challenge:
            raise TokenRefused("invalid_grant", "Invalid code verifier.")
    with world.lock:
        if (code.email, client_id) not in world.grants:
            raise TokenRefused("invalid_grant", "Bad Request")
        answer = _with_access(world, code.email, client_id, list(code.scopes))
        if code.offline:
            answer |= _lasting(_new_refresh(world, code.email, client_id, list(code.scopes)))
        if "openid" in code.scopes:
            answer["id_token"] = id_token(world.accounts[code.email], client_id, code.nonce)
        return answer


def refresh(world: GoogleWorld, value: str, client_id: str) -> dict[str, Any]:
    """The token answer for a refresh token; with rotation on, the old one stops working here and now."""
    with world.lock:
        token = world.tokens.get(value)
        if token is None or token.kind != "refresh" or token.client_id != client_id or not is_alive(token):
            raise TokenRefused("invalid_grant", GONE if value.startswith("1//") else "Bad Request")
        answer = _with_access(world, token.email, client_id, token.scopes)
        if world.settings.rotate_refresh_tokens:
            del world.tokens[value]
            answer |= _lasting(_new_refresh(world, token.email, client_id, token.scopes))
        return answer


def revoke(world: GoogleWorld, value: str) -> None:
    """Raises TokenRefused for a token that is no more."""
    with world.lock:
        token = world.tokens.get(value)
        if token is None or not is_alive(token):
            raise TokenRefused("invalid_token", "Token expired or revoked")
        take_back(world, token.email, token.client_id)


def take_back(world: GoogleWorld, email: str, client_id: str) -> int:
    """End everything a person allowed an app; says how many tokens died."""
    with world.lock:
        dead = [t.value for t in world.tokens.values() if (t.email, t.client_id) == (email, client_id)]
        for value in dead:
            del world.tokens[value]
        world.grants.pop((email, client_id), None)
        world.touch()
        return len(dead)


def expire(world: GoogleWorld, email: str, client_id: str, kind: str = "access") -> int:
    """Let the tokens of this kind run out now; says how many did."""
    with world.lock:
        ended = 0
        for token in world.tokens.values():
            if (token.email, token.client_id, token.kind) == (email, client_id, kind) and is_alive(token):
                token.expires_at = time.time()
                ended += 1
        world.touch()
        return ended


def is_alive(token: Token) -> bool:
    return token.expires_at is None or token.expires_at > time.time()


def mint(world: GoogleWorld, email: str, client_id: str, scopes: list[str]) -> dict[str, Any]:
    """Both tokens without the way through a browser, for tests and for fixtures."""
    with world.lock:
        allow(world, email, client_id, scopes, add=True)
        answer = _with_access(world, email, client_id, scopes)
        return answer | _lasting(_new_refresh(world, email, client_id, scopes))


def _with_access(world: GoogleWorld, email: str, client_id: str, scopes: list[str]) -> dict[str, Any]:
    life = world.settings.access_token_s
    token = Token(
        "ya29." + secrets.token_urlsafe(90),
        "access",
        email,
        client_id,
        scopes,
        time.time(),
        time.time() + life,
    )
    world.tokens[token.value] = token
    _forget_old(world, "access", MAX_ACCESS_TOKENS, world.tokens.values())
    world.touch()
    return {
        "access_token": token.value,
        "expires_in": life,
        "scope": " ".join(scopes),
        "token_type": "Bearer",
    }


def _new_refresh(world: GoogleWorld, email: str, client_id: str, scopes: list[str]) -> Token:
    made_at = time.time()
    ends_at = made_at + TESTING_LIVES_S if world.settings.apps_in_testing else None
    token = Token("1//0" + secrets.token_urlsafe(75), "refresh", email, client_id, scopes, made_at, ends_at)
    world.tokens[token.value] = token
    mine = [t for t in world.tokens.values() if (t.email, t.client_id) == (email, client_id)]
    _forget_old(world, "refresh", MAX_REFRESH_TOKENS, mine)
    return token


def _lasting(token: Token) -> dict[str, Any]:
    if token.expires_at is None:
        return {"refresh_token": token.value}
    return {"refresh_token": token.value, "refresh_token_expires_in": int(token.expires_at - time.time())}


def _forget_old(world: GoogleWorld, kind: str, keep: int, among: Any) -> None:
    same = [token.value for token in among if token.kind == kind]
    for value in same[: max(len(same) - keep, 0)]:
        del world.tokens[value]


def _challenge_of(verifier: str, method: str) -> str:
    if method == "plain":
        return verifier
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@cache
def signing_key() -> RSAKey:
    """Made at the first sign-in; a restart makes another, as Google changes its keys now and then."""
    return RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)


def id_token(account: Account, client_id: str, nonce: str) -> str:
    seconds = int(time.time())
    claims = {
        "iss": ISSUER,
        "azp": client_id,
        "aud": client_id,
        "sub": account.sub,
        "email": account.email,
        "email_verified": True,
        "name": account.name,
        "iat": seconds,
        "exp": seconds + 3600,
    } | ({"nonce": nonce} if nonce else {})
    return jwt.encode({"alg": "RS256", "kid": signing_key().kid}, claims, signing_key())
