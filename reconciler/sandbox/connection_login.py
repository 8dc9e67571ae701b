"""Token requests of the Personal Connection API, in both ways, and the two discovery documents."""

from __future__ import annotations

import base64
import binascii
from typing import Final
from urllib.parse import parse_qsl

from reconciler.sandbox.campaign_rules import load
from reconciler.sandbox.errors import Invalid, NotFound, Unauthorized
from reconciler.sandbox.http import JSON_TYPE, Answer, Call, media_type
from reconciler.sandbox.skill_state import SkillState

TOKEN_S: Final = 3600
"""Life of a token. A client must believe `expires_in`, not this."""

REFRESH_S: Final = 7200
"""Life of a refresh token. It ends no other token."""

REFRESH_NAMES: Final = frozenset({"token", "refreshToken", "refresh_token"})
"""Under which a refresh token is taken: nobody has verified which one the vendor reads."""

APP_ID, APP_SECRET = "sandbox-app", "sandbox-app-secret"
"""The application of the second way to a token, in HTTP Basic."""

FORM_TYPE = "application/x-www-form-urlencoded"


async def get_openid(_: SkillState, call: Call) -> Answer:
    """Return the discovery document with the token endpoint."""
    return Answer.of({"issuer": _here(call), "token_endpoint": f"{_here(call)}/auth/token"})


async def get_configuration(state: SkillState, call: Call) -> Answer:
    """Return the discovery document with the base URL of a tenant's API."""
    if call.query().get("tenantId") != state.unit()["tenantId"]:
        raise NotFound("there is no such tenant")
    return Answer.of({"tenantId": call.query()["tenantId"], "api_endpoint": _here(call)})


async def post_access_key(state: SkillState, call: Call) -> Answer:
    """Issue a token for an access key."""
    if media_type(call.header("content-type")) != JSON_TYPE:
        raise Invalid([("Content-Type", f"must be {JSON_TYPE}")])
    body = load(call.raw)
    if not isinstance(body, dict) or set(body) != {"accessKeyId", "accessKeySecret"}:
        raise Invalid([("body", "must hold accessKeyId and accessKeySecret, and nothing else")])
    return _issue(state, body["accessKeyId"], body["accessKeySecret"])


async def post_token(state: SkillState, call: Call) -> Answer:
    """Issue a token for an access key to an authenticated application."""
    if _basic(call.header("authorization") or "") != f"{APP_ID}:{APP_SECRET}":
        raise Unauthorized("invalid_client")
    if media_type(call.header("content-type")) != FORM_TYPE:
        raise Invalid([("Content-Type", f"must be {FORM_TYPE}")])
    try:
        form = dict(parse_qsl(call.raw.decode(), strict_parsing=True, max_num_fields=9))
    except ValueError:
        raise Invalid([("body", "must be a form")]) from None
    if form.get("grant_type") != "password":
        raise Invalid([("grant_type", "must be password")])
    return _issue(state, form.get("username"), form.get("password"))


async def post_refresh(state: SkillState, call: Call) -> Answer:
    """Issue a token for a refresh token."""
    if media_type(call.header("content-type")) != JSON_TYPE:
        raise Invalid([("Content-Type", f"must be {JSON_TYPE}")])
    body = load(call.raw)
    if not isinstance(body, dict) or len(body) != 1 or not set(body) <= REFRESH_NAMES:
        raise Invalid(
            [("body", f"must hold one of {', '.join(sorted(REFRESH_NAMES))}, and no more")]
        )
    claims = state.claims(str(*body.values()))
    client = state.clients().get(claims["sub"])
    if claims.get("use") != "refresh" or client is None:
        raise Unauthorized("invalid_grant")
    return _issue(state, client.client_id, client.client_secret)


def _issue(state: SkillState, key: object, secret: object) -> Answer:
    tenant = state.unit()["tenantId"]
    token = state.issue(str(key), str(secret), life_s=TOKEN_S, tenantId=tenant)
    said = {
        "access_token": token.value,
        "refresh_token": state.sign(token.client, REFRESH_S, use="refresh"),
        "id_token": state.sign(token.client, TOKEN_S, use="id", tenantId=tenant),
        "token_type": "bearer",
        "expires_in": TOKEN_S,
    }
    return Answer.of(said, headers={"Cache-Control": "no-store"})


def _basic(header: str) -> str | None:
    scheme, _, value = header.partition(" ")
    try:
        return base64.b64decode(value, validate=True).decode() if scheme == "Basic" else None
    except (ValueError, binascii.Error):
        return None


def _here(call: Call) -> str:
    url = call.request.url
    return f"{url.scheme}://{url.netloc}"
