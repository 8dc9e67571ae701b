"""A document with its places: merge a profile into it, and validate it with errors that point at the right line."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from reconciler.errors import ManifestError, Place, Problem
from reconciler.manifests.characters import MAX_PROBLEMS
from reconciler.manifests.reader import Document, Path
from reconciler.models import is_meant_retired

_SECTIONS = ("spec", "compliance", "pacing")
"""Sections that a profile may supply keys of."""

M = TypeVar("M", bound=BaseModel)


class Source(NamedTuple):
    """A document and its file."""

    file: str
    document: Document

    @property
    def start(self) -> Place:
        """Where the document starts."""
        return Place(self.file, *self.document.mark)

    def plain(self, loc: Path) -> str | None:
        """Return the text of an unquoted scalar as it stands in the file; `None` for anything else."""
        spot = self.document.spots.get(loc)
        return spot.plain if spot else None

    def place(self, loc: Path, *, of_key: bool = False) -> Place:
        """Return the place of a value, or of its key; if it is missing, of the nearest mapping or list around it."""
        spots = self.document.spots
        while loc and loc not in spots:
            loc = loc[:-1]
        if not loc:
            return self.start
        return Place(self.file, *spots[loc].mark(of_key=of_key))


class Profiles:
    """The profiles of a `tenant.yaml`, not validated: their keys are validated in each manifest that uses them."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._raw = _mapping(_mapping(source.document.value.get("spec")).get("profiles"))

    def merge(self, source: Source) -> ProfiledDocument:
        """Return a document merged with its profile: whole keys, one level. The document's own keys win.

        A tombstone gets no keys from a profile.

        Raises:
            ManifestError: there is no such profile.
        """
        value = source.document.value
        metadata = _mapping(value.get("metadata"))
        name = metadata.get("profile")
        if name is None or is_meant_retired(value):
            return ProfiledDocument(value, source)
        if not isinstance(name, str) or name not in self._raw:
            known = ", ".join(self._raw) or "none"
            text = f"metadata.profile names no profile of {self._source.file}: {name!r}; there is {known}"
            raise ManifestError([Problem(source.place(("metadata", "profile")), text)])
        return self._with(name, source)

    def _with(self, name: str, source: Source) -> ProfiledDocument:
        value = source.document.value
        profile = _mapping(self._raw[name])
        merged, supplied = dict(value), set()
        for section in _SECTIONS:
            shared, own = profile.get(section), value.get(section, {})
            if isinstance(shared, dict) and isinstance(own, dict):
                merged[section] = {**shared, **own}
                supplied |= {(section, key) for key in shared if key not in own}
        return ProfiledDocument(
            merged, source, self._source, ("spec", "profiles", name), frozenset(supplied)
        )


class ProfiledDocument(NamedTuple):
    """A document merged with its profile. Each key knows the file that it came from.

    Attributes:
        value: the merged document.
        own: the manifest's document.
        tenant: the document of `tenant.yaml`.
        root: path of the profile in `tenant`.
        supplied: keys that the profile supplied.
    """

    value: Mapping[str, Any]
    own: Source
    tenant: Source | None = None
    root: Path = ()
    supplied: frozenset[Path] = frozenset()

    def plain(self, loc: Path) -> str | None:
        """Return the text of an unquoted scalar as it stands in its file; `None` for anything else."""
        source, loc = self._origin(loc)
        return source.plain(loc)

    def place(self, loc: Path, *, of_key: bool = False) -> Place:
        """Return the place of a value: in the manifest, or in `tenant.yaml` if the profile supplied it."""
        source, loc = self._origin(loc)
        return source.place(loc, of_key=of_key)

    def _origin(self, loc: Path) -> tuple[Source, Path]:
        """Return the document that a value came from, and its path there."""
        if self.tenant is not None and loc[:2] in self.supplied:
            return self.tenant, self.root + loc
        return self.own, loc


def validate(model: type[M], what: ProfiledDocument | Source) -> M:
    """Validate a document against a model.

    Raises:
        ManifestError: every error, as a sentence with its place.
    """
    value = what.value if isinstance(what, ProfiledDocument) else what.document.value
    try:
        return model.model_validate(value)
    except ValidationError as error:
        from reconciler.models.explain import sentences  # noqa: PLC0415 - needed for invalid documents only

        raise ManifestError(
            Problem(what.place(said.loc, of_key=said.of_key), said.message)
            for said in islice(sentences(error, model, what.plain), MAX_PROBLEMS)
        ) from None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
