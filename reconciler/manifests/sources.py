"""One document with its place: what a profile adds to it, whether a model accepts it, and where to point when not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from reconciler.errors import ManifestError, Place, Problem
from reconciler.manifests.reader import MAX_PROBLEMS, Document, Path
from reconciler.models import meant_retired

_SECTIONS = ("spec", "compliance", "pacing")
"""What a profile may supply."""

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Source:
    """A document and the file that it stands in."""

    file: str
    document: Document

    @property
    def start(self) -> Place:
        """Where the document starts."""
        return Place(self.file, *self.document.mark)

    def plain(self, loc: Path) -> str | None:
        """Return what a scalar without quotes says in the file; `None` for anything else."""
        spot = self.document.spots.get(loc)
        return spot.plain if spot else None

    def place(self, loc: Path, *, of_key: bool = False) -> Place:
        """Return where a value stands, or its key; the nearest one around it when it is not there."""
        spots = self.document.spots
        while loc and loc not in spots:
            loc = loc[:-1]
        if not loc:
            return self.start
        return Place(self.file, *spots[loc].mark(of_key=of_key))


class Profiles:
    """The profiles of a `tenant.yaml`, as it says them: each is judged where a manifest uses it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._raw = _mapping(_mapping(source.document.value.get("spec")).get("profiles"))

    def merge(self, source: Source) -> Merged:
        """Return a document with what its profile supplies: whole keys, one level; its own win. A tombstone takes nothing.

        Raises:
            ManifestError: there is no such profile.
        """
        value = source.document.value
        metadata = _mapping(value.get("metadata"))
        name = metadata.get("profile")
        if name is None or meant_retired(value):
            return Merged(value, source)
        if not isinstance(name, str) or name not in self._raw:
            known = ", ".join(self._raw) or "none"
            text = f"metadata.profile names no profile of {self._source.file}: {name!r}; there is {known}"
            raise ManifestError([Problem(source.place(("metadata", "profile")), text)])
        return self._with(name, source)

    def _with(self, name: str, source: Source) -> Merged:
        value = source.document.value
        profile = _mapping(self._raw[name])
        merged, supplied = dict(value), set()
        for section in _SECTIONS:
            shared, own = profile.get(section), value.get(section, {})
            if isinstance(shared, dict) and isinstance(own, dict):
                merged[section] = {**shared, **own}
                supplied |= {(section, key) for key in shared if key not in own}
        return Merged(merged, source, self._source, ("spec", "profiles", name), frozenset(supplied))


@dataclass(frozen=True, slots=True)
class Merged:
    """A document with its profile's keys, and where each came from.

    Attributes:
        value: the whole.
        own: the manifest.
        tenant, root, supplied: the tenant's document, where the profile stands in it, and the keys that it supplied.
    """

    value: Mapping[str, Any]
    own: Source
    tenant: Source | None = None
    root: Path = ()
    supplied: frozenset[Path] = frozenset()

    def plain(self, loc: Path) -> str | None:
        """Return what a scalar without quotes says in the file that it stands in; `None` for anything else."""
        if self.tenant is not None and loc[:2] in self.supplied:
            return self.tenant.plain(self.root + loc)
        return self.own.plain(loc)

    def place(self, loc: Path, *, of_key: bool = False) -> Place:
        """Return where a value stands: in the manifest, or in `tenant.yaml` when the profile supplied it."""
        if self.tenant is not None and loc[:2] in self.supplied:
            return self.tenant.place(self.root + loc, of_key=of_key)
        return self.own.place(loc, of_key=of_key)


def validate(model: type[M], what: Merged | Source) -> M:
    """Return a document as a model.

    Raises:
        ManifestError: every error, as a sentence with its place.
    """
    value = what.value if isinstance(what, Merged) else what.document.value
    try:
        return model.model_validate(value)
    except ValidationError as error:
        from reconciler.models.explain import sentences  # noqa: PLC0415 - only what is wrong pays for the words

        raise ManifestError(
            Problem(what.place(said.loc, of_key=said.of_key), said.message)
            for said in islice(sentences(error, model, what.plain), MAX_PROBLEMS)
        ) from None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
