"""Where a call may go: to the tenant's own host, or to one that a constant or the environment names.

What an answer says is never enough: a host that discovery returns is held against the dialect's list of the vendor's
domains, so that neither a pull request nor a forged answer can lead a token away.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from reconciler.dialects.base import Call, Token
from reconciler.errors import AccessError, safe
from reconciler.settings import Settings

_PLAIN: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?")
"""A URL that every reader reads alike: no user, no query, nothing that is escaped, and no sign that one reader takes for the end of the host."""


def target(
    call: Call, token: Token | None, settings: Settings, vendor_domains: tuple[str, ...]
) -> str:
    """Return what stands before a call's path.

    Raises:
        AccessError: the call, or the token that it carries, leads to a host that nobody allowed.
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
    except ValueError:  # a port or an address that is none
        return False
    if origin in named:
        return True
    return asked.scheme == "https" and any(
        host == domain or host.endswith(f".{domain}") for domain in vendor_domains
    )


def _origin(url: SplitResult) -> tuple[str, str, int | None]:
    return url.scheme, url.hostname or "", url.port
