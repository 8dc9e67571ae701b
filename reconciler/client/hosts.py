"""Decide which host a call may go to: the tenant's own, one of the vendor's domains, or one that the environment names.

A host in an answer is never enough. A host that discovery returns must be in the dialect's list of vendor domains, so that
neither a pull request nor a forged answer can send a token elsewhere.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from reconciler.dialects.base import Token
from reconciler.dialects.calls import Call
from reconciler.errors import AccessError, safe
from reconciler.settings import Settings

_PLAIN: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?")
"""A URL that all parsers read alike: no user, no query, no escapes, no character that could end the host for one of them."""


def target(
    call: Call, token: Token | None, settings: Settings, vendor_domains: tuple[str, ...]
) -> str:
    """Return the URL that the path of a call is appended to.

    Raises:
        AccessError: the call, or its token, names a host that is not allowed.
    """
    base = call.origin or (token.base_for(call.path) if token is not None else None)
    if base is None:
        return settings.base_url
    if _is_allowed(base, settings, vendor_domains):
        return base
    named = settings.variables.api_url
    raise AccessError(
        f"{safe(call.where)} would go to {safe(base, limit=100)}, which is neither the host in {settings.variables.url} nor one of "
        f"the vendor's: nothing is sent there; if it is right, name it in {named}"
    )


def _is_allowed(base: str, settings: Settings, vendor_domains: tuple[str, ...]) -> bool:
    if _PLAIN.fullmatch(base) is None:
        return False
    try:
        asked = urlsplit(base)
        named = {_origin(urlsplit(url)) for url in (settings.base_url, settings.api_url) if url}
        origin, host = _origin(asked), asked.hostname or ""
    except ValueError:  # the port or the address is not valid
        return False
    if origin in named:
        return True
    return asked.scheme == "https" and any(
        host == domain or host.endswith(f".{domain}") for domain in vendor_domains
    )


def _origin(url: SplitResult) -> tuple[str, str, int | None]:
    return url.scheme, url.hostname or "", url.port
