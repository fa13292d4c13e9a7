"""Google's token endpoint, /revoke, /tokeninfo and the userinfo addresses."""

import time

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from app.sandbox.google import tokens
from app.sandbox.google.access import EMAIL, PROFILE, Caller, codes, sign_in, world
from app.sandbox.google.errors import Refused, TokenRefused

blueprint = Blueprint("google_oauth", __name__)
userinfo = Blueprint("google_userinfo", __name__)


@blueprint.post("/token")
def token() -> ResponseReturnValue:
    form = request.form
    login = request.authorization
    client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    if login is not None and login.type == "basic":
        client_id, secret = login.username or "", login.password or ""
    grant = form.get("grant_type", "")
    if grant not in ("authorization_code", "refresh_token"):
        raise TokenRefused("unsupported_grant_type", f"Invalid grant_type: {grant}")
    needed = {"authorization_code": ("code", "redirect_uri"), "refresh_token": ("refresh_token",)}[grant]
    missing = [name for name in needed if not form.get(name)] + ([] if client_id else ["client_id"])
    if missing:
        raise TokenRefused("invalid_request", f"Missing required parameter: {missing[0]}")
    tokens.check_client(world(), client_id, secret)
    if grant == "refresh_token":
        body = tokens.refresh(world(), form["refresh_token"], client_id)
    else:
        code = codes().take(form["code"])
        body = tokens.redeem(world(), code, form["redirect_uri"], client_id, form.get("code_verifier", ""))
    answer = jsonify(body)
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.post("/revoke")
def revoke() -> ResponseReturnValue:
    tokens.revoke(world(), request.form.get("token") or request.args.get("token", ""))
    return {}


@blueprint.route("/tokeninfo", methods=["GET", "POST"])
def tokeninfo() -> ResponseReturnValue:
    value = request.values.get("access_token", "")
    found = world().tokens.get(value)
    if found is None or found.kind != "access" or not tokens.is_alive(found):
        raise TokenRefused("invalid_token", "Invalid Value")
    account = world().accounts[found.email]
    ends = found.expires_at or 0
    body = {
        "azp": found.client_id,
        "aud": found.client_id,
        "sub": account.sub,
        "scope": " ".join(found.scopes),
        "exp": str(int(ends)),
        "expires_in": str(max(int(ends - time.time()), 0)),
        "access_type": "offline",
    }
    if EMAIL in found.scopes:
        body |= {"email": account.email, "email_verified": "true"}
    return body


@userinfo.get("/certs")
def certs() -> ResponseReturnValue:
    return {"keys": [tokens.signing_key().as_dict(private=False)]}


@userinfo.get("/userinfo")
def about_person() -> ResponseReturnValue:
    """As OpenID Connect writes it; under oauth2/v2 as the older API does."""
    if "/oauth2/v2/" in request.path:
        return about_person_v2()
    caller = _somebody()
    body: dict[str, str | bool] = {"sub": caller.account.sub}
    if EMAIL in caller.scopes:
        body |= {"email": caller.account.email, "email_verified": True}
    if PROFILE in caller.scopes:
        body |= {"name": caller.account.name, "given_name": caller.account.name.partition(" ")[0]}
    return jsonify(body)


def about_person_v2() -> ResponseReturnValue:
    caller = _somebody()
    body: dict[str, str | bool] = {"id": caller.account.sub}
    if EMAIL in caller.scopes:
        body |= {"email": caller.account.email, "verified_email": True}
    if PROFILE in caller.scopes:
        body |= {"name": caller.account.name, "given_name": caller.account.name.partition(" ")[0]}
    return body


def _somebody() -> Caller:
    caller = sign_in()
    if not {"openid", EMAIL, PROFILE} & caller.scopes:
        raise Refused(403, "insufficientPermissions", "Request had insufficient authentication scopes.")
    return caller
