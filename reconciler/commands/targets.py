"""Resolve the targets of a halt: objects by any name that they have or had."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from reconciler.dialects.base import Dialect
from reconciler.effect import Direction
from reconciler.errors import Place
from reconciler.kinds.live import Live
from reconciler.manifests import Folder
from reconciler.plan import Action, Operation, live_hash


@dataclass(frozen=True, slots=True)
class Target:
    """One object to be stopped and held.

    Attributes:
        kind, key: the object.
        name: the manifest's name, else the platform's, else its key.
        live: the object on the platform; `None` when it could not be read.
    """

    kind: str
    key: str
    name: str
    live: Live | None

    def dials(self, dialect: Dialect) -> bool:
        """Return whether the object has to be stopped. An object that could not be read has to."""
        return self.live is None or not dialect.KINDS[self.kind].is_silent(self.live)

    def operation(self, dialect: Dialect, place: Place) -> Operation:
        """Return the operation that stops the object."""
        kind, live = dialect.KINDS[self.kind], self.live or Live(self.key, "")
        stored = None if live.stored is None else kind.canonical(live.stored)
        return Operation(
            kind=self.kind,
            key=self.key,
            name=self.name,
            platform_name=live.name,
            action=Action.HALT,
            desired=kind.silenced(stored),
            live=stored,
            live_hash=live_hash(live, kind),
            fields=(),
            direction=Direction.TIGHTEN,
            place=place,
            audit=kind.audit_fields(stored) if stored else {},
        )


@dataclass(frozen=True, slots=True)
class Known:
    """All objects that a halt can stop, and their names.

    Attributes:
        folder: the manifests that could be read.
        dialect: the tenant's.
        recorded: keys of objects, by each name in the ledger. A name may have moved from one object to another.
        live: the platform's objects by key; `None` if the platform could not be read. The value is `None` for a named object that could
            not be read. A named object without an entry does not exist.
        complete: the platform's list was complete.
    """

    folder: Folder
    dialect: Dialect
    recorded: Mapping[str, Collection[str]]
    live: Mapping[str, Live | None] | None
    complete: bool = True

    @property
    def names(self) -> set[str]:
        """Every name of an object in a manifest or a record."""
        return {each.name for each in self.folder.desired}.union(self.recorded)

    @property
    def keys(self) -> set[str]:
        """The key of every object in a manifest or a record."""
        return {each.key for each in self.folder.desired}.union(*self.recorded.values())

    def unlisted(self, names: Iterable[str], keys: Iterable[str]) -> list[str]:
        """Return the keys of wanted objects that are not listed. The caller reads each one individually, because a list may lag or be incomplete.

        Args:
            names: names from the command line; none means everything.
            keys: further wanted objects.
        """
        asked = {key for name in names for key in self._meant(name) or {name}} or self._wanted()
        return sorted(asked.union(keys) - (self.live or {}).keys())

    def _wanted(self) -> set[str]:
        """Return the objects that may dial although they are not listed: those of manifests; if the list is incomplete, all known ones."""
        wanted = {each.key for each in self.folder.desired if not each.retired}
        return wanted if self.complete else self.keys

    def named(self, names: Iterable[str]) -> tuple[tuple[Target, ...], tuple[str, ...]]:
        """Return the targets with the given names (of a manifest, of a record, or a platform id), and the unknown names."""
        found: dict[str, Target] = {}
        unknown = []
        for name in names:
            keys = self._meant(name)
            found |= {key: self._target(key) for key in sorted(keys)}
            if not keys:
                unknown.append(name)
        return tuple(found.values()), tuple(unknown)

    def _meant(self, name: str) -> set[str]:
        """Return the keys of all objects that a name matches. In an emergency an ambiguous name stops all of them."""
        keys = {each.key for each in self.folder.desired if each.name == name}
        claimed = {each.key for each in self.folder.desired}
        recorded = set(self.recorded.get(name, ()))
        keys |= recorded - claimed
        keys = keys or recorded
        if name in self.live if self.live is not None else not keys:
            keys.add(name)
        return keys

    def everything(self) -> tuple[Target, ...]:
        """Return every object that dials or that a manifest could make dial. If the platform cannot be read, return all known objects."""
        if self.live is None:
            return tuple(map(self._target, sorted(self.keys)))
        kind = next(iter(self.dialect.KINDS.values()))
        dialing = {
            key for key, each in self.live.items() if each is None or not kind.is_silent(each)
        }
        return tuple(self._target(key) for key in sorted(dialing | self._wanted()))

    def _target(self, key: str) -> Target:
        manifest = next((each for each in self.folder.desired if each.key == key), None)
        live = None if self.live is None else self.live.get(key, Live(key, ""))
        name = manifest.name if manifest else live.name if live and live.name else key
        kind = manifest.kind if manifest else next(iter(self.dialect.KINDS))
        return Target(kind, key, name, live)
