"""The interface that `execute` requires of an API client."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, TypeVar

from reconciler.dialects.calls import Exchange

T = TypeVar("T")


class Platform(Protocol):
    """Runs a dialect's exchanges, and knows the platform's clock from its answers."""

    @property
    def now(self) -> datetime | None:
        """The platform's clock; `None` before the first answer that shows it."""

    @property
    def uncertainty_s(self) -> float:
        """How far `now` may be wrong, in seconds; infinite when unknown."""

    async def run(self, exchange: Exchange[T]) -> T:
        """Send the calls of an exchange and return its value."""
