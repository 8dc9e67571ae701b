"""Resolve the targets of a halt: objects by any name that they have or had."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Final

from reconciler import audit
from reconciler.audit import Record
from reconciler.commands import ledgers
from reconciler.commands.session import Session
from reconciler.dialects.base import Dialect, Listed
from reconciler.dialects.calls import Exchange
from reconciler.effect import Direction
from reconciler.errors import ApiError, Place, UnknownObject
from reconciler.execute.stop_sender import Written
from reconciler.git import Children, Git
from reconciler.kinds.live import Live
from reconciler.ledger import EMPTY, LedgerSnapshot
from reconciler.manifests import Folder, claims_of
from reconciler.models import Claim, Desired
from reconciler.plan import Action, Operation, live_hash

_LONGEST_VERSION: Final = 256
"""Most characters of a recorded ETag that is sent. Anybody with push rights can write anything into a record."""

REFUSED: Final = range(400, 500)
"""Statuses that mean that the platform does not have the requested object."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the records tell about the objects of a tenant.

    Attributes:
        keys: keys of objects, by each name in the ledger. A name may have moved from one object to another.
        written: what reconcile stored last, by key.
        snapshot: the ledger that they are in.
    """

    keys: Mapping[str, Collection[str]] = field(default_factory=dict)
    written: Mapping[str, Written] = field(default_factory=dict)
    snapshot: LedgerSnapshot = EMPTY

    @classmethod
    def of(cls, records: Collection[Record]) -> Recorded:
        """Return what records tell."""
        keys: dict[str, set[str]] = {}
        for each in records:
            name, key = each.data.get("name"), each.data.get("target")
            if isinstance(name, str) and isinstance(key, str) and key != audit.EVERYTHING:
                keys.setdefault(name, set()).add(key)
        written = {
            key: Written(body, _version(last.outcome))
            for key, last in audit.applied(records).items()
            if last.stopped is None and (body := last.intent.data["body"]) is not None
        }
        return cls(keys, written)


def _version(outcome: Record) -> str | None:
    """Return the recorded ETag if it can be sent."""
    version = outcome.data.get("etag")
    if not isinstance(version, str) or not 0 < len(version) <= _LONGEST_VERSION:
        return None
    return version if version.isascii() and version.isprintable() else None


@dataclass(frozen=True, slots=True)
class Target:
    """One object to be stopped and held.

    Attributes:
        kind, key: the object.
        name: the manifest's name, else the platform's, else its key.
        live: the object on the platform; `None` when it was not read.
        written: what reconcile stored last for it; `None` if no record tells.
    """

    kind: str
    key: str
    name: str
    live: Live | None = None
    written: Written | None = None

    def dials(self, dialect: Dialect) -> bool:
        """Return whether the object has to be stopped. An object that was not read has to."""
        return self.live is None or not dialect.KINDS[self.kind].is_silent(self.live)

    def operation(self, dialect: Dialect, place: Place) -> Operation:
        """Return the operation that stops the object. If it was not read, what reconcile stored last is assumed to be stored."""
        kind, live = dialect.KINDS[self.kind], self.live
        if live is None:
            live = Live(self.key, "", stored=self.written.body if self.written else None)
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


@dataclass(frozen=True)  # no slots: its manifests are looked up for each object of a list
class Known:
    """The objects that a halt knows without the platform, and their names.

    Attributes:
        folder: the manifests that could be read.
        dialect: the tenant's.
        recorded: see `Recorded`.
    """

    folder: Folder
    dialect: Dialect
    recorded: Recorded = field(default_factory=Recorded)

    @cached_property
    def _broken(self) -> tuple[Claim, ...]:
        """What invalid manifests claim."""
        return claims_of(self.folder)

    @cached_property
    def _claims(self) -> tuple[Claim, ...]:
        return (*self._broken, *self.folder.desired)

    @cached_property
    def _manifests(self) -> Mapping[str, Claim]:
        return {each.key: each for each in self._claims}

    @property
    def names(self) -> set[str]:
        """Every name of an object in a manifest or a record."""
        return {each.name for each in self._claims}.union(self.recorded.keys)

    @property
    def keys(self) -> set[str]:
        """The key of every object in a manifest or a record."""
        return {*self._manifests}.union(*self.recorded.keys.values())

    @cached_property
    def wanted(self) -> set[str]:
        """The keys of the objects that a manifest could make dial."""
        valid = {each.key for each in self.folder.desired if not each.retired}
        return valid.union(each.key for each in self._broken)

    def is_unmanaged(self, key: str) -> bool:
        """Return whether no manifest and no recorded write has this key. Holds do not count: a stop may have held a mistyped id."""
        return key not in self._manifests and key not in self.recorded.written

    def accepted(self, targets: Iterable[Target]) -> list[str]:
        """Return what every command accepts for each of some targets: the manifest's name, else the id. The platform's name may be unknown elsewhere."""
        return [each.name if each.key in self._manifests else each.key for each in targets]

    def guesses(self, keys: Collection[str]) -> tuple[str, ...]:
        """Return a note for each of these objects whose id was taken from the text of an invalid manifest."""
        valid = {each.key for each in self.folder.desired}
        guessed = (each for each in self._broken if each.key in keys and each.key not in valid)
        return tuple(
            f"{each.place.file} is invalid: id {each.key} of {each.name} was taken from its text. Check that this is the object that you meant"
            for each in guessed
        )

    def unknown(self, names: Sequence[str], path: Path) -> str:
        """Return what to do about names that mean nothing, also to the platform.

        Args:
            names: the names.
            path: the tenant's folder, as the user named it.
        """
        near = [each for name in names for each in get_close_matches(name, self.names, n=1)]
        near += [str(self.folder.path)] if self.folder.name in names else []
        hint = f" (did you mean {', '.join(near)}?)" if near else ""
        files = ", ".join(self.folder.invalid)
        broken = f". These files are invalid and may hold them: {files}" if files else ""
        halt = f"reconcile halt {shlex.quote(str(path))}"
        return (
            f"unknown: {', '.join(names)}{hint}{broken}. No manifest and no record has such a name, and the platform has no object with"
            f" such an id, so nothing was stopped by it. Look up the id on the platform, then: {halt} ID --reason TEXT."
            f" Or stop everything of the tenant: {halt} --all --reason TEXT"
        )

    def named(self, name: str) -> tuple[Target, ...]:
        """Return all objects that a name matches: of a manifest, of a record, or a known id. In an emergency an ambiguous name stops all of them."""
        keys = {each.key for each in self._claims if each.name == name}
        recorded = set(self.recorded.keys.get(name, ()))
        keys |= recorded - {each.key for each in self.folder.desired}
        keys = keys or recorded
        if name in self.keys:
            keys.add(name)
        return self.targets(keys)

    def targets(self, keys: Iterable[str]) -> tuple[Target, ...]:
        """Return targets that were not read, by key."""
        return tuple(map(self.target, sorted(keys)))

    def target(self, key: str, listed: Listed | None = None) -> Target:
        """Return the target with a key.

        Args:
            key: the object.
            listed: what the platform shows of it.
        """
        manifest = self._manifests.get(key)
        shown = listed.name if listed and listed.name else key
        return Target(
            kind=manifest.kind if isinstance(manifest, Desired) else next(iter(self.dialect.KINDS)),
            key=key,
            name=manifest.name if manifest else shown,
            live=listed.live if listed else None,
            written=self.recorded.written.get(key),
        )


def unless_refused(reading: Exchange[Live]) -> Exchange[Live]:
    """Read an object; an id that the platform refuses names no object.

    Raises:
        UnknownObject: the platform has no such object.
    """
    try:
        return (yield from reading)
    except ApiError as error:
        if error.status in REFUSED:
            raise UnknownObject(error.status, error.where, error.reasons) from None
        raise


def recorded(session: Session, children: Children) -> Recorded:
    """Return what this clone's records tell; nothing if they cannot be read, whatever the reason: a stop needs none of it.

    Args:
        session: see `Session`.
        children: the git commands that run, so that the caller can end them.
    """
    try:
        git = Git(
            session.repository(children).root,
            environ=session.world.environ,
            runner=children.run,
        )
        copy = ledgers.open_copy(session.world, git, session.folder)
        return replace(Recorded.of(copy.records()), snapshot=copy.snapshot)
    except Exception:  # noqa: BLE001 - see above
        return Recorded()
