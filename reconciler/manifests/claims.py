"""Read which objects the manifests of an older file claimed: ids and names only, because bodies and profiles may be invalid today."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.manifests.reader import read
from reconciler.manifests.sources import Source
from reconciler.models import Claim, model_for


def claims(data: bytes, file: str) -> Iterator[Claim]:
    """Yield the claim of each manifest in the bytes of a file.

    Args:
        data: the bytes.
        file: its name in messages.

    Raises:
        ManifestError: the file cannot be read.
    """
    for document in read(data, file):
        model = model_for(document.value)
        metadata, spec = (document.value.get(part) for part in ("metadata", "spec"))
        if model is None or not isinstance(metadata, Mapping) or not isinstance(spec, Mapping):
            continue
        key, name = spec.get(model.identified_by), metadata.get("name")
        called = metadata.get(model.named_by)
        if isinstance(key, str) and isinstance(name, str):
            place = Source(file, document).start
            yield Claim(key, name, place, called if isinstance(called, str) else None)
