"""Access tokens: JWT (RFC 7519), HS256 (RFC 7518 §3.2), from the standard library."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from typing import Any

_HEADER = {"alg": "HS256", "typ": "JWT"}


def sign(claims: dict[str, Any], key: bytes) -> str:
    """Return `claims` as a compact JWT."""
    head = f"{_encode(_HEADER)}.{_encode(claims)}"
    return f"{head}.{_b64(_mac(head, key))}"


def verify(token: str, key: bytes) -> dict[str, Any] | None:
    """Return the claims of `token`, or `None` when this key did not sign it. The caller must check the expiry."""
    head, _, signature = token.rpartition(".")
    if not token.isascii() or not hmac.compare_digest(signature, _b64(_mac(head, key))):
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(head.partition(".")[2] + "=="))
    except (ValueError, binascii.Error):
        return None
    return claims if isinstance(claims, dict) else None


def _mac(head: str, key: bytes) -> bytes:
    return hmac.digest(key, head.encode(), "sha256")


def _encode(value: dict[str, Any]) -> str:
    return _b64(json.dumps(value, separators=(",", ":"), sort_keys=True).encode())


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
