"""Idempotency keys of writes."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from reconciler.audit import lines
from reconciler.plan import Action


def key(tenant: str, scope: str, op: str, generation: int, attempt: int) -> str:
    """Return the idempotency key of a write: 52 lower-case letters and digits.

    Args:
        tenant: the tenant's platform.
        scope: see `scope_of`: letters, digits, dots, hyphens and underscores, which JSON does not escape.
        op: hash of the operation.
        generation: makes A, then B, then A again three different writes, although the platform remembers keys for a while.
        attempt: makes a new write after the platform stored an error under the key.
    """
    digest = _key_digest(tenant, scope, op, generation, attempt)
    return base64.b32encode(digest).decode().rstrip("=").lower()


def is_key(text: str, tenant: str, scope: str, op: str, generation: int, attempt: int) -> bool:
    """Return whether a text of 52 letters and digits is the idempotency key of a write (`key`).

    To read a number in base 32 is a tenth of the work of writing it in Python.
    """
    digest = _key_digest(tenant, scope, op, generation, attempt)
    due = int.from_bytes(digest, "big") << _KEY_PADDING
    return int(text.encode().translate(_TO_BASE_32), 32) == due


_TO_BASE_32: Final = bytes.maketrans(
    b"abcdefghijklmnopqrstuvwxyz234567", b"0123456789abcdefghijklmnopqrstuv"
)
"""The digits of a key (RFC 4648) as those that `int` reads."""

_KEY_PADDING: Final = 52 * 5 - 256
"""Bits of zero at the end of a key."""


def _key_digest(tenant: str, scope: str, op: str, generation: int, attempt: int) -> bytes:
    text = f'[{lines.quoted(tenant)},"{scope}","{op}",{generation:d},{attempt:d}]'
    return hashlib.sha256(text.encode()).digest()


def scope_of(verb: str, commit: str, run: str) -> str:
    """Return what the generations of a write are counted for: the commit of an apply, or the run of an emergency stop.

    A stop numbers its writes without reading the ledger. So another stop on the same commit may use the same numbers.
    """
    return run if verb == _HALT else commit


_HALT: Final = Action.HALT.value
