"""The edits of `optimize --write`: prepared from the files as they were read, and saved all or none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.errors import ManifestError, UsageError
from reconciler.manifests import Folder, edits
from reconciler.manifests.folders import read_file
from reconciler.manifests.values import blob_ids
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
    def read(cls, folder: Folder, desired: Iterable[Desired]) -> Sources:
        """Read the files of some manifests of a loaded folder once more, to edit them.

        Raises:
            ManifestError: a file cannot be read.
            UsageError: a file was changed since the folder was loaded.
        """
        found = {each.key: each for each in desired}
        content = {
            file: read_file(file) for file in sorted({each.place.file for each in found.values()})
        }
        for file, data in content.items():
            if blob_ids(data) != folder.sources[file]:
                raise UsageError(f"{file} was changed while this command ran: no manifest is changed; run it again")  # fmt: skip
        return cls(found, {Path(file): data for file, data in content.items()})


@dataclass(frozen=True, slots=True)
class Edits:
    """New content of files of a tenant's folder; nothing is written yet.

    Attributes:
        before: content of each file; `None`: there is none.
        texts: new content by file; only files that change.
        by_hand: proposals that cannot be written, each with the reason.
    """

    before: Mapping[Path, bytes | None]
    texts: dict[Path, str]
    by_hand: tuple[Declined, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that change."""
        return tuple(map(str, self.texts))

    def adding(self, path: Path, text: str | None, before: bytes | None) -> Edits:
        """Return the same edits and another file; without a text, the same edits."""
        if text is None:
            return self
        return replace(self, before={**self.before, path: before}, texts={**self.texts, path: text})

    def replacing(self) -> AbstractContextManager[None]:
        """Write all files at the end of a context, or none; see `edits.replacing`."""
        return edits.replacing(self.texts, self.before)


def edit(sources: Sources, proposals: Sequence[Proposal]) -> Edits:
    """Return the files with the proposals in them. A manifest that must be edited by hand does not affect the others."""
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
    return Edits(dict(sources.content), texts, tuple(by_hand))
