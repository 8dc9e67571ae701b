"""The interface that `execute` requires of an API client, and how an emergency stop uses it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, TypeVar

from reconciler.dialects.calls import Exchange
from reconciler.errors import ReconcileError

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


FAULT: Final = "this program failed, please report it: {!r}"
"""Message about an error that nobody expected, with the error."""


class Fault(ReconcileError):
    """This program failed while it read one answer."""


@dataclass(frozen=True, slots=True)
class FaultTolerant:
    """A platform for an emergency stop, which a fault of this program in one exchange must not end.

    Attributes:
        platform: the platform.
    """

    platform: Platform

    @property
    def now(self) -> datetime | None:
        """See `Platform`."""
        return self.platform.now

    @property
    def uncertainty_s(self) -> float:
        """See `Platform`."""
        return self.platform.uncertainty_s

    async def run(self, exchange: Exchange[T]) -> T:
        """Run an exchange, see `Platform`.

        Raises:
            Fault: it ended in an error of another kind than the dialect and the client raise.
        """
        try:
            return await self.platform.run(exchange)
        except ReconcileError:
            raise
        except Exception as error:
            raise Fault(FAULT.format(error)) from error
