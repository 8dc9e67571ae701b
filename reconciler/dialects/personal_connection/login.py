"""Signing in, both ways, and finding where the API is. Every host that an answer names is the client's to allow."""

from __future__ import annotations

import base64
import json
from typing import Final
from urllib.parse import urlsplit

from reconciler.dialects.base import Call, Credentials, Exchange, Site, Token
from reconciler.dialects.personal_connection.answers import Answer

HOSTS: Final = ("nice-incontact.com", "niceincontact.com")
"""The vendor's domains (H): hosts below them are the only ones that an answer may lead to."""

DISCOVERY: Final = "https://cxone.niceincontact.com"
"""Where a tenant of the vendor is looked up. A host that is not the vendor's (a sandbox) answers for itself."""

SERVICES: Final = "/inContactAPI/services"


def authenticate(credentials: Credentials, site: Site) -> Exchange[Token]:
    """Ask for a token: with the application's own id and secret through discovery, else at the tenant's host by the access key.

    The token lives as long as it says, and its calls go where the tenant's configuration says.
    """
    discovery = DISCOVERY if _is_vendors(site.url) else None
    if credentials.app_id is None:
        call = _by_access_key(credentials)
    else:
        call = yield from _by_application(credentials, discovery)
    (reply,) = yield (call,)
    answer = Answer(call, reply)
    value, lifetime = (
        answer.text(answer.body, "access_token"),
        answer.number(answer.body, "expires_in"),
    )
    if not value or not (value.isascii() and value.isprintable()) or not lifetime:
        raise answer.wrong("the answer holds no access_token that can be sent, or no expires_in")
    call = Call(
        "GET",
        "/.well-known/cxone-configuration",
        params={"tenantId": _tenant_of(answer, value)},
        anonymous=True,
        origin=discovery,
    )
    (reply,) = yield (call,)
    answer = Answer(call, reply)
    endpoint = answer.text(answer.body, "api_endpoint").rstrip("/")
    if not endpoint:
        raise answer.wrong("the answer holds no api_endpoint")
    return Token(value, float(lifetime), base=f"{endpoint}{SERVICES}/v{site.version}.0")


def _by_access_key(credentials: Credentials) -> Call:
    body = {"accessKeyId": credentials.client_id, "accessKeySecret": credentials.client_secret}
    path = "/authentication/v1/token/access-key"
    return Call("POST", path, json=body, anonymous=True)


def _by_application(credentials: Credentials, discovery: str | None) -> Exchange[Call]:
    call = Call("GET", "/.well-known/openid-configuration", anonymous=True, origin=discovery)
    (reply,) = yield (call,)
    answer = Answer(call, reply)
    endpoint = urlsplit(answer.text(answer.body, "token_endpoint"))
    if not endpoint.path.startswith("/"):
        raise answer.wrong("the answer holds no token_endpoint")
    pair = f"{credentials.app_id}:{credentials.app_secret}".encode()
    form = {
        "grant_type": "password",
        "username": credentials.client_id,
        "password": credentials.client_secret,
    }
    return Call(
        "POST",
        endpoint.path,
        form=form,
        headers={"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"},
        anonymous=True,
        origin=f"{endpoint.scheme}://{endpoint.netloc}",
    )


def _tenant_of(answer: Answer, token: str) -> str:
    """Return the token's claim `tenantId`. The signature is the platform's to check: this only asks it where we are."""
    try:
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        tenant = claims["tenantId"]
    except (ValueError, IndexError, KeyError, TypeError):
        tenant = None
    if not isinstance(tenant, str) or not tenant:
        raise answer.wrong("the access_token does not say whose it is (tenantId)")
    return tenant


def _is_vendors(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return any(host == domain or host.endswith(f".{domain}") for domain in HOSTS)
