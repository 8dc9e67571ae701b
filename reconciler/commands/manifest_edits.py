"""The edits that `optimize --write` makes: prepared from what was read, saved all or none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import ManifestError
from reconciler.manifests import edits
from reconciler.manifests.folders import read_file
from reconciler.models import Desired
from reconciler.optimize.base import Declined, Proposal


@dataclass(frozen=True, slots=True)
class Sources:
    """The manifest files as they were when a command began.

    Attributes:
        desired: their manifests, by key of the object.
        content: bytes of each file.
    """

    desired: dict[str, Desired]
    content: dict[Path, bytes]

    @classmethod
    def read(cls, desired: Iterable[Desired]) -> Sources:
        """Read the files of some manifests.

        Raises:
            ManifestError: a file cannot be read.
        """
        found = {each.key: each for each in desired}
        files = {each.place.file for each in found.values()}
        return cls(found, {Path(file): read_file(file) for file in sorted(files)})


@dataclass(frozen=True, slots=True)
class Edits:
    """New content of manifest files; nothing is written yet.

    Attributes:
        sources: what they were made from.
        texts: new content by file; only files that change.
        by_hand: proposals that cannot be written, each with the reason.
    """

    sources: Sources
    texts: dict[Path, str]
    by_hand: tuple[Declined, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that change."""
        return tuple(map(str, self.texts))

    def replacing(self) -> AbstractContextManager[None]:
        """Write all files at the end of a context, or none; see `edits.replacing`."""
        return edits.replacing(self.texts, self.sources.content)


def edit(sources: Sources, proposals: Sequence[Proposal]) -> Edits:
    """Return the files with the proposals in them. A manifest that must be edited by hand spoils no other."""
    texts: dict[Path, str] = {}
    by_hand = []
    for proposal in proposals:
        path = Path(sources.desired[proposal.key].place.file)
        text = texts.get(path) or sources.content[path].decode()
        changes = {
            (proposal.name, f"spec.{each.field}"): each.proposed for each in proposal.changes
        }
        try:
            texts[path] = edits.edit(path, changes, text=text)
        except ManifestError as error:
            reason = f"cannot be written: {error}"
            by_hand.append(Declined(proposal.key, proposal.name, reason, proposal))
    return Edits(sources, texts, tuple(by_hand))
