"""Find the ids of objects in manifests that are not valid, for an emergency stop.

A manifest with a merge conflict, a typing error or a broken profile still names its object. Its text is searched, not parsed:
whatever is wrong with the rest of the file, a line such as `campaign_id: "1001"` can be read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from reconciler.errors import Place
from reconciler.manifests.values import Folder
from reconciler.models import API_VERSION, MANIFESTS, Claim

_BETWEEN_DOCUMENTS: Final = re.compile(r"^---(?:[ \t].*)?$", re.MULTILINE)

_MOST: Final = 200
"""Most ids that are taken from one document. Nobody writes as many."""


def claims_of(folder: Folder) -> tuple[Claim, ...]:
    """Return what the invalid manifests of a folder claim: each name in a document with each id in it.

    A merge conflict may hold two ids for one name. A document without a name is called like its file.
    """
    if not folder.invalid:
        return ()
    api = folder.tenant.spec.api
    (kind,) = (each for each in MANIFESTS.values() if each.api == api)
    found = dict[Claim, None]()
    for file, data in folder.invalid.items():
        for document in _BETWEEN_DOCUMENTS.split(data.decode("utf-8", "replace")):
            keys = list(_values(document, kind.identified_by, r"[0-9]{1,20}"))[:_MOST]
            names = list(_values(document, "name", r"[a-z0-9][a-z0-9-]{0,80}"))[:_MOST]
            names = names or [PurePath(file).stem]
            found |= {Claim(key, name, Place(file)): None for name in names for key in keys}
    return tuple(found)


def settings_in(data: bytes) -> bytes | None:
    """Return a `tenant.yaml` with the API, the URL and the version of an invalid one; `None` unless it names one API and one URL."""
    text = data.decode("utf-8", "replace")
    patterns = {"api": r"[a-z-]{1,40}", "url": r"[!-~]{1,200}?", "version": r"[0-9]{1,6}"}
    found = {name: set(_values(text, name, pattern)) for name, pattern in patterns.items()}
    if any(len(found[name]) != 1 for name in ("api", "url")):
        return None
    spec = {name: each.pop() for name, each in found.items() if len(each) == 1}
    lines = (
        f"  {name}: {value if name == 'version' else json.dumps(value)}\n"
        for name, value in spec.items()
    )
    return f"apiVersion: {API_VERSION}\nkind: Tenant\nspec:\n{''.join(lines)}".encode()


def _values(text: str, field: str, pattern: str) -> Iterator[str]:
    """Yield the scalars of a field, wherever it stands in a line that is no comment."""
    quoted = rf"(?P<quote>[\"']?)(?P<value>{pattern})(?P=quote)"
    line = (
        rf"^[^#\n]*?(?<![\w.-])[\"']?{field}[\"']?[ \t]*:[ \t]+{quoted}(?=[ \t]*(?:[,}}\r\n#]|$))"
    )
    for match in re.finditer(line, text, re.MULTILINE):
        yield match["value"]
