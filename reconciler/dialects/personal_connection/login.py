"""Sign in, in both ways, and find the base URL of the API.

A host is the tenant's own, a constant of the vendor, or named by an answer. Before anything is sent, the client refuses a
host that is neither the tenant's, nor below `HOSTS`, nor in the environment.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from reconciler.dialects.base import Credentials, Site, Token
from reconciler.dialects.calls import JSON, Call, Exchange
from reconciler.dialects.personal_connection.answers import SkillAnswer
from reconciler.errors import ApiError, Unavailable

HOSTS: Final = ("nice-incontact.com", "niceincontact.com")
"""The vendor's domains (H). An answer may refer only to hosts below them."""

DISCOVERY: Final = "https://cxone.niceincontact.com"
"""Host of discovery, and fallback for an access key that the area's host does not accept (M). For a host that is not the vendor's, such as a sandbox, that host itself is used."""

AREA_API: Final = "https://api-{cluster}.nice-incontact.com"
"""The API's location if discovery does not return one (M); the cluster is the claim `icClusterId`."""

SERVICES: Final = "/inContactAPI/services"

LIFETIME_S: Final = 3600.0
"""M: token lifetime if the answer has no `expires_in`."""

ELSEWHERE: Final = frozenset({301, 302, 303, 307, 308, 404, 405, 410})
"""I: statuses with which an area's host indicates that it does not accept access keys. A status for a refused key is not among them, so a refused key is sent once."""

OK: Final = 200
ANSWERED: Final = ELSEWHERE | {OK}
OPTIONAL: Final = ANSWERED | {400, 401, 403}
"""Statuses of a call that only refines the sign-in. Whatever they mean, it goes on without."""

_CLUSTER: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


def authenticate(credentials: Credentials, site: Site) -> Exchange[Token]:
    """Request a token: with the application's id and secret through discovery if they are set, else with the access key.

    The base URL comes from the tenant's configuration; if that cannot be read, it is the area's documented host.
    """
    if credentials.app_id is None:
        answer = yield from _by_access_key(credentials, site)
    else:
        answer = yield from _by_application(credentials, site)
    value, life_s, assumed = answer.token(LIFETIME_S)
    endpoint = yield from _endpoint(value, _claims(answer, value), site)
    if endpoint is None:
        endpoint = _area_host(_claims(answer, value), site)
        assumed += (f"discovery returned no API location: assuming {endpoint}",)
    bases = {group: _base(endpoint, version) for group, version in site.versions.items()}
    return Token(value, life_s, base=_base(endpoint, site.version), bases=bases, assumed=assumed)


def _base(endpoint: str, version: int | None) -> str:
    return f"{endpoint}{SERVICES}/v{version}.0"


# --- a token ------------------------------------------------------------------------------------------------------------


def _by_access_key(credentials: Credentials, site: Site) -> Exchange[SkillAnswer]:
    """Request a token with the access key from the tenant's host; if that host takes no keys, from the vendor's other host."""
    if _is_vendors(site.url) and site.url != DISCOVERY:
        answer = yield from _try(
            _access_key_call(credentials, expects=ANSWERED), unless=Unavailable
        )
        if answer is not None:
            return answer
        call = _access_key_call(credentials, origin=DISCOVERY)
    else:
        call = _access_key_call(credentials)
    return (yield from SkillAnswer.ask(call))


def _access_key_call(
    credentials: Credentials,
    *,
    origin: str | None = None,
    expects: frozenset[int] = frozenset({OK}),
) -> Call:
    body = {"accessKeyId": credentials.client_id, "accessKeySecret": credentials.client_secret}
    path = "/authentication/v1/token/access-key"
    return Call("POST", path, json=body, anonymous=True, origin=origin, expects=expects)


def _by_application(credentials: Credentials, site: Site) -> Exchange[SkillAnswer]:
    origin = _discovery(site)
    call = Call("GET", "/.well-known/openid-configuration", anonymous=True, origin=origin)
    answer = yield from SkillAnswer.ask(call)
    try:
        endpoint = urlsplit(answer.text(answer.body, "token_endpoint"))
    except ValueError:  # a host or a port that is none
        raise answer.wrong("the token_endpoint is not a URL") from None
    if not endpoint.path.startswith("/"):
        raise answer.wrong("the answer has no token_endpoint")
    pair = f"{credentials.app_id}:{credentials.app_secret}".encode()
    form = {
        "grant_type": "password",
        "username": credentials.client_id,
        "password": credentials.client_secret,
    }
    call = Call(
        "POST",
        endpoint.path,
        form=form,
        headers={"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"},
        anonymous=True,
        origin=f"{endpoint.scheme}://{endpoint.netloc}",
    )
    return (yield from SkillAnswer.ask(call))


# --- where the API is ---------------------------------------------------------------------------------------------------


def _endpoint(token: str, claims: Mapping[str, str], site: Site) -> Exchange[str | None]:
    """Return the tenant's API location from discovery; `None` if discovery does not answer or the tenant is unknown.

    An emergency stop waits for discovery only if the location is not known otherwise: a wrong host would stop nothing.
    """
    tenant = claims.get("tenantId") or (yield from _tenant_of_unit(token, claims, site))
    if tenant is None:
        return None
    call = Call(
        "GET",
        "/.well-known/cxone-configuration",
        params={"tenantId": tenant},
        anonymous=True,
        optional=_is_documented(claims, site),
        origin=_discovery(site),
        expects=OPTIONAL,
    )
    answer = yield from _try(call, unless=(ApiError, Unavailable))
    endpoint = None if answer is None else _text(answer.reply.json, "api_endpoint")
    return endpoint.rstrip("/") if endpoint else None


def _tenant_of_unit(token: str, claims: Mapping[str, str], site: Site) -> Exchange[str | None]:
    """Read the tenant's id from the business unit, for tokens without the claim `tenantId`."""
    version = site.versions.get("business-unit", site.version)
    call = Call(
        "GET",
        f"{SERVICES}/v{version}.0/business-unit",
        headers={"Authorization": f"Bearer {token}"},
        anonymous=True,
        optional=_is_documented(claims, site),
        origin=_area_host(claims, site),
        expects=OPTIONAL,
    )
    answer = yield from _try(call, unless=(ApiError, Unavailable))
    if answer is None:
        return None
    try:
        units = answer.rows("businessUnits")
    except ApiError:
        return None
    return _text(units[0], "tenantId") if units else None


def _try(
    call: Call, *, unless: type[Exception] | tuple[type[Exception], ...]
) -> Exchange[SkillAnswer | None]:
    """Send a call and return its answer; `None` if the status is not 200, or if one of the errors in `unless` is raised."""
    try:
        answer = yield from SkillAnswer.ask(call)
    except unless:
        return None
    return answer if answer.reply.status == OK else None


def _text(part: JSON, name: str) -> str | None:
    """Return a text field; `None` if it is missing, empty or not a text."""
    value = part.get(name) if isinstance(part, dict) else None
    return value if isinstance(value, str) and value else None


def _claims(answer: SkillAnswer, access_token: str) -> dict[str, str]:
    """Return the claims of the tokens; those of the `id_token` win.

    The signatures are not verified: the claims are only used to find the platform, which verifies the tokens itself.
    """
    found: dict[str, str] = {}
    for token in (access_token, answer.body.get("id_token")):
        try:
            part = str(token).split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
            found |= {
                name: value for name, value in claims.items() if value and isinstance(value, str)
            }
        except (ValueError, IndexError, AttributeError, RecursionError):
            continue
    return found


def _area_host(claims: Mapping[str, str], site: Site) -> str:
    """Return the documented host of the tenant's area; the tenant's own host if the token names no cluster, or that host is not the vendor's."""
    cluster = _cluster(claims)
    if not _is_vendors(site.url) or cluster is None:
        return site.url
    return AREA_API.format(cluster=cluster)


def _cluster(claims: Mapping[str, str]) -> str | None:
    cluster = claims.get("icClusterId", "").lower()
    return cluster if _CLUSTER.fullmatch(cluster) else None


def _is_documented(claims: Mapping[str, str], site: Site) -> bool:
    """Return whether `_area_host` is sure to be the API's host: that of the token's cluster, or the only one, as of a sandbox."""
    return not _is_vendors(site.url) or _cluster(claims) is not None


def _discovery(site: Site) -> str | None:
    return DISCOVERY if _is_vendors(site.url) else None


def _is_vendors(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return any(host == domain or host.endswith(f".{domain}") for domain in HOSTS)
