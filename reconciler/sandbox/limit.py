"""The platform's rate limit."""

from __future__ import annotations

import math

from reconciler.sandbox.errors import TooMany


class Limit:
    """A token bucket on the platform's clock."""

    def __init__(self) -> None:
        self._left = math.inf
        self._at = 0

    def check(self, rate: float, burst: int, now: int) -> None:
        """Take one token from the bucket, or refuse the request.

        Args:
            rate: requests per second; 0 never refuses.
            burst: the bucket's size.
            now: milliseconds.

        Raises:
            TooMany: holds the whole seconds until the next token is available.
        """
        if not rate:
            return
        self._left = min(burst, self._left + (now - self._at) * rate / 1000)
        self._at = now
        if self._left < 1:
            raise TooMany(str(max(1, math.ceil((1 - self._left) / rate))))
        self._left -= 1
