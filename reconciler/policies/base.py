"""The interface of a policy: facts in, findings out.

A policy is a module with `ID`, `LEVEL`, `WHEN` and `check(facts)`. Its docstring is its manual page, with YAML that passes and
YAML that fails: keys of the manifest, the state of the `platform`, and what was `applied` according to the ledger.
It imports no other policy, does no IO, and raises nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from reconciler.errors import Place
from reconciler.models import Desired

if TYPE_CHECKING:
    from reconciler.kinds import Kind
    from reconciler.kinds.live import Snapshot


class Level(StrEnum):
    """Severity of a finding. An error blocks its own object, unless the operation only tightens."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Finding(NamedTuple):
    """A violation of a rule by one object, or by the tenant as a whole.

    Attributes:
        rule: the policy's id.
        level: as configured.
        message: what is wrong and what to do, in one sentence.
        key: the object's identity; empty for the whole tenant.
        name: the manifest's name, for people.
        place: where to look.
        stops: an error that blocks its object even when the operation only tightens: it may be the wrong object.
    """

    rule: str
    level: Level
    message: str
    key: str = ""
    name: str = ""
    place: Place | None = None
    stops: bool = False

    def serialised(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "rule": self.rule,
            "level": self.level.value,
            "message": self.message,
            "key": self.key,
            "name": self.name,
            "place": str(self.place) if self.place else None,
        }


class Facts(NamedTuple):
    """The input of a rule.

    Attributes:
        desired: compiled manifests, sorted by key.
        kinds: the dialect's kinds, by name.
        now: the platform's clock, or ours when offline.
        live: the snapshot of the platform; `None` when offline (`validate`). Rules that need it then yield nothing.
        applied: manifest names of the objects that were applied and not removed since, by key, from the ledger.
        names: required platform names of objects whose manifest no longer states a name, by key.
        repointed: former id by current id, for manifests that named another object at the base.
    """

    desired: Sequence[Desired]
    kinds: Mapping[str, Kind]
    now: datetime
    live: Snapshot | None = None
    applied: Mapping[str, str] = MappingProxyType({})
    names: Mapping[str, str] = MappingProxyType({})
    repointed: Mapping[str, str] = MappingProxyType({})


class Policy(Protocol):
    """One rule. A module satisfies it."""

    @property
    def ID(self) -> str:  # noqa: N802 - a module's constant
        """Stable name, used in levels, waivers and reports."""

    @property
    def LEVEL(self) -> Level:  # noqa: N802 - a module's constant
        """The rule's own level; a tenant may set another."""

    @property
    def WHEN(self) -> str:  # noqa: N802 - a module's constant
        """When there is a finding, in a sentence or two for the documentation."""

    def check(self, facts: Facts) -> Iterator[Finding]:
        """Yield every finding, at this rule's own default level."""


def about(
    desired: Desired, rule: str, level: Level, message: str, *, field: str = "", stops: bool = False
) -> Finding:
    """Return a finding about one manifest, at the place of one of its fields when places were kept."""
    place = desired.places.get(field, desired.place)
    return Finding(
        rule, level, message, key=desired.key, name=desired.name, place=place, stops=stops
    )
