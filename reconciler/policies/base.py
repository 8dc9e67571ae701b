"""What a policy is: facts in, findings out.

A policy is a module with `ID`, `LEVEL` and `check(facts)`; its docstring is its manual page, with YAML that passes and
YAML that fails. It knows no other policy, does no IO, and raises nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from reconciler.dialects.base import Kind, Snapshot
from reconciler.errors import Place
from reconciler.models import Desired


class Level(StrEnum):
    """How bad a finding is. An error blocks its own object, unless the operation only tightens."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a rule has to say about one object, or about the tenant as a whole.

    Attributes:
        rule: the policy's id.
        level: as configured.
        message: what is wrong and what to do, in one sentence.
        key: the object's identity; empty for the whole tenant.
        name: the manifest's name, for people.
        place: where to look.
    """

    rule: str
    level: Level
    message: str
    key: str = ""
    name: str = ""
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a rule may know.

    Attributes:
        desired: compiled manifests, sorted by key.
        kinds: the dialect's kinds, by name.
        now: the platform's clock, or ours when offline.
        live: what the platform holds; `None` when offline (`validate`): a rule that needs it then says nothing.
    """

    desired: Sequence[Desired]
    kinds: Mapping[str, Kind]
    now: datetime
    live: Snapshot | None = None


class Policy(Protocol):
    """One rule. A module satisfies it."""

    ID: str
    LEVEL: Level

    def check(self, facts: Facts) -> Iterator[Finding]:
        """Yield every finding, at this rule's own default level."""
