"""Load a tenant's folder into one value: its `tenant.yaml` and its compiled manifests."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import Any, TypeAlias

from reconciler.errors import ManifestError, Place, Problem, UsageError
from reconciler.manifests import salvage
from reconciler.manifests.folders import (
    TENANT_FILE,
    TenantFolder,
    find_tenants,
    is_manifest,
    list_files,
    no_manifests_of,
    read_file,
    show,
)
from reconciler.manifests.reader import read
from reconciler.manifests.sources import Profiles, Source, validate
from reconciler.manifests.tenants import claimed_twice, settings_in
from reconciler.manifests.values import BlobIds, Folder, blob_ids
from reconciler.models import (
    MANIFESTS,
    TENANT_NAME,
    Desired,
    Manifest,
    Tenant,
    model_for,
)

Older: TypeAlias = Callable[[Path], Iterable[tuple[str, bytes]]]
"""Returns older versions of a file, newest first, each with a name for messages."""

Fits: TypeAlias = Callable[[str, Tenant], bool]
"""Decides whether a tenant's `tenant.yaml` is acceptable, by the tenant's name and the file."""


def _any(_name: str, _tenant: Tenant) -> bool:
    return True


def load(
    root: Path,
    tenant: str | None = None,
    *,
    keep_places: bool = False,
    may_be_empty: bool = False,
) -> Folder:
    """Load one tenant's folder.

    Args:
        root: a tenant's folder, a folder of such folders, or a file or folder within one.
        tenant: name of the tenant, if there are several.
        keep_places: keep the place of every field of a compiled body.
        may_be_empty: accept a folder that holds only `tenant.yaml`.

    Raises:
        UsageError: the path does not exist, there is no such tenant, or there are several and none was named.
        ManifestError: every problem of every file.
    """
    where = choose_tenant(root, tenant)
    return load_tenant(where, keep_places=keep_places, may_be_empty=may_be_empty)


def load_readable(
    root: Path,
    tenant: str | None = None,
    *,
    older: Older | None = None,
    fits: Fits = _any,
    mentioning: Collection[str] = (),
) -> Folder:
    """Load the readable manifests of one tenant's folder, for an emergency stop. Problems in the folder or beside it are ignored.

    Args:
        root: as for `load`.
        tenant: as for `load`.
        older: used if the current `tenant.yaml` is invalid or does not fit; `settings.file` of the result names the version taken.
        fits: the newest version that fits is taken; if none fits, the newest valid one.
        mentioning: load only files that contain one of these texts or are named by one, which is much faster; none means all files. YAML
            can write a text with escapes, so a manifest may be missed.

    Raises:
        UsageError: as for `load`.
        ManifestError: no version of `tenant.yaml` is valid, so the platform's address is unknown.
    """
    if tenant is not None and (root / tenant / TENANT_FILE).is_file():
        root = root / tenant
    try:
        where = choose_tenant(root, tenant)
    except (ManifestError, UsageError):
        lost = _lost(root if tenant is None else root / tenant, older)
        if lost is None:
            raise
        where = lost
    loader = _Loader(where, keep_places=False)
    loader.add_tenant(older, fits)
    loader.add_manifests(mentioning)
    return loader.readable()


def _lost(folder: Path, older: Older | None) -> TenantFolder | None:
    """Return a folder that was a tenant's before it, or its `tenant.yaml`, was deleted or renamed; `None` if it never was."""
    path = Path(os.path.abspath(folder))  # noqa: PTH100 - as folders are named: links stay
    was = older is not None and any(older(folder / TENANT_FILE))
    return TenantFolder(path.name, folder) if was and TENANT_NAME.fullmatch(path.name) else None


def choose_tenant(root: Path, tenant: str | None) -> TenantFolder:
    """Return the folder of one tenant; arguments and errors are those of `load`."""
    found = find_tenants(root)
    chosen = [folder for folder in found if tenant in {None, folder.name}]
    names = ", ".join(folder.name for folder in found)
    if not chosen:
        raise UsageError(f"there is no tenant {tenant!r} in {root}; there is {names}")
    if len(chosen) > 1:
        raise UsageError(f"{root} holds several tenants: choose one with --tenant ({names})")
    return chosen[0]


def load_tenant(
    where: TenantFolder, *, keep_places: bool = False, may_be_empty: bool = False
) -> Folder:
    """Load one tenant's folder; see `load`."""
    with _collector_off():
        loader = _Loader(where, keep_places=keep_places)
        loader.add_tenant()
        loader.add_manifests()
        return loader.folder(may_be_empty=may_be_empty)


def load_committed(where: TenantFolder, revision: str, contents: Mapping[str, bytes]) -> Folder:
    """Load a tenant's folder from the bytes of its files at a commit.

    Args:
        where: the folder.
        revision: the commit, as messages name it.
        contents: bytes by path within the folder, `tenant.yaml` among them. Only manifests are read, as on disk.

    Raises:
        ManifestError: every problem of every file, at `REVISION:PATH`.
    """
    named = {
        path: (f"{revision}:{show(where.path / path)}", data)
        for path, data in contents.items()
        if is_manifest(path)
    }
    loader = _Loader(where, keep_places=False)
    loader.add_committed(*named.pop(TENANT_FILE), dict(named.values()))
    return loader.checked()


@contextmanager
def _collector_off() -> Iterator[None]:
    """Turn the cyclic garbage collector off: it would walk everything that is loaded, repeatedly, and find nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Loader:
    """Collects one tenant's folder: its manifests, and every problem."""

    def __init__(self, where: TenantFolder, *, keep_places: bool) -> None:
        self._where = where
        self._keep = keep_places
        self._problems: set[Problem] = set()
        self._sources: dict[str, BlobIds] = {}
        self._desired: list[Desired] = []
        self._tenant: Tenant | None = None
        self._settings: Source | None = None
        self._profiles: Profiles | None = None
        self._invalid: dict[str, bytes] = {}

    def add_tenant(self, older: Older | None = None, fits: Fits = _any) -> None:
        """Read `tenant.yaml`: the newest version that is valid and fits; if none fits, the newest valid one."""
        path = self._where.path / TENANT_FILE
        file = show(path)
        current = b""
        try:
            current = self._bytes(file)
            if self._take(current, file, fits):
                return
        except ManifestError as error:
            self._problems.update(error.problems)
        for name, data in older(path) if older else ():
            with suppress(ManifestError):
                if self._take(data, name, fits):
                    return
        if older and self._tenant is None and (least := salvage.settings_in(current)) is not None:
            with suppress(ManifestError):
                self._take(least, f"the lines api and url of {file}", fits)

    def _take(self, data: bytes, file: str, fits: Fits) -> bool:
        """Use a `tenant.yaml` if it fits, or if it is the first valid one. Return whether it fits."""
        settings = settings_in(data, file)
        # Manifests need the profiles even if the file is invalid elsewhere.
        self._profiles = self._profiles or Profiles(settings)
        tenant = validate(Tenant, settings)
        fit = fits(self._where.name, tenant)
        if fit or self._tenant is None:
            self._settings, self._tenant, self._profiles = settings, tenant, Profiles(settings)
        return fit

    def add_manifests(self, mentioning: Collection[str] = ()) -> None:
        """Read all manifests of the folder: first the bytes of all files, then parse, which is 10 % faster than alternating.

        Args:
            mentioning: parse only files that contain one of these texts; none means all files.
        """
        files, problems = list_files(self._where)
        self._problems.update(problems)
        contents = []
        for file in files:
            try:
                contents.append((file, read_file(file)))
            except ManifestError as error:
                self._problems.update(error.problems)
        texts = [each.encode() for each in mentioning]
        contents.reverse()
        while contents:  # so that the bytes of each file are freed once it is parsed
            file, data = contents.pop()
            if not texts or _mentions(file, data, mentioning, texts):
                self._sources[file] = blob_ids(data)
                self._add(data, file)

    def add_committed(self, file: str, settings: bytes, contents: Mapping[str, bytes]) -> None:
        """Read the files of a commit.

        Args:
            file: name of `tenant.yaml` in messages.
            settings: its bytes.
            contents: the manifests' bytes by their names in messages.
        """
        try:
            self._take(settings, file, _any)
        except ManifestError as error:
            self._problems.update(error.problems)
        for name, data in contents.items():
            self._add(data, name)

    def folder(self, *, may_be_empty: bool = False) -> Folder:
        """Return the folder, or raise every problem."""
        where = self._where
        if self._tenant is not None and self._settings is not None:
            self._problems.update(claimed_twice(where, self._tenant, self._settings))
        if not self._desired and not self._problems and not may_be_empty:
            self._problems.add(no_manifests_of(where))
        return self.checked()

    def checked(self) -> Folder:
        """Return what was read, or raise every problem within its files."""
        self._problems.update(_claimed_twice(self._desired))
        if self._problems:
            raise ManifestError(self._problems)
        return self.readable()

    def readable(self) -> Folder:
        """Return what could be read, whether or not there were problems."""
        where = self._where
        if self._tenant is None or self._settings is None:
            raise ManifestError(self._problems)
        return Folder(
            name=where.name,
            path=where.path,
            tenant=self._tenant,
            settings=self._settings,
            desired=tuple(sorted(self._desired, key=lambda one: (one.key, one.kind))),
            sources=self._sources,
            partial=where.only is not None,
            invalid=self._invalid,
        )

    def _bytes(self, file: str) -> bytes:
        data = read_file(file)
        self._sources[file] = blob_ids(data)
        return data

    def _add(self, data: bytes, file: str) -> None:
        """Compile the documents of a file. If one is invalid, read the file again, this time with places."""
        try:
            documents = read(data, file, keep_places=self._keep)
            if not documents:
                self._problems.add(Problem(Place(file), _EMPTIED))
            self._desired += [self._compile(Source(file, document)) for document in documents]
        except ManifestError:
            self._add_valid(data, file)

    def _add_valid(self, data: bytes, file: str) -> None:
        try:
            documents = read(data, file, keep_places=True)
        except ManifestError as error:
            self._problems.update(error.problems)
            self._invalid[file] = data
            return
        for document in documents:
            try:
                self._desired.append(self._compile(Source(file, document)))
            except ManifestError as error:
                self._problems.update(error.problems)
                self._invalid[file] = data

    def _compile(self, source: Source) -> Desired:
        document = source.document.value
        model = model_for(document)
        if model is None:
            raise ManifestError([_no_kind(source, document)])
        if self._profiles is None:  # tenant.yaml is unreadable, which is already reported
            raise ManifestError([])
        self._check_api(source, model)
        merged = self._profiles.merge(source)
        manifest = validate(model, merged)
        body = manifest.compile()
        places = {name: merged.place(("spec", name)) for name in body or ()} if self._keep else {}
        return Desired(
            kind=document["kind"],
            key=manifest.key,
            name=manifest.metadata.name,
            place=source.start,
            body=body,
            platform_name=manifest.platform_name,
            compliance=merged.value.get("compliance", {}),
            pacing=merged.value.get("pacing", {}),
            places=places,
        )

    def _check_api(self, source: Source, model: type[Manifest]) -> None:
        """Check that the tenant's API can hold this kind."""
        api = model.api if self._tenant is None else self._tenant.spec.api
        if model.api != api:
            held = " or ".join(kind for kind, each in MANIFESTS.items() if each.api == api)
            text = f"kind {source.document.value['kind']} is for api: {model.api}, and this tenant's is {api}, which holds {held}"
            raise ManifestError([Problem(source.place(("kind",)), text)])


def _mentions(file: str, data: bytes, names: Collection[str], texts: Iterable[bytes]) -> bool:
    return PurePath(file).stem in names or any(text in data for text in texts)


_EMPTIED = (
    "holds no manifest, which retires nothing: what it held goes on dialing. Bring that back (to remove a campaign's schedule:"
    " with metadata.retired: true), or delete the file if it is to hold none"
)


def _no_kind(source: Source, document: Mapping[str, Any]) -> Problem:
    kind, known = document.get("kind"), " or ".join(MANIFESTS)
    if kind == "Tenant":
        text = (
            f"kind Tenant stands in {TENANT_FILE} at the top of the tenant's folder, and only there"
        )
    elif kind is None:
        text = f"kind is missing: it must be {known}"
    else:
        text = f"kind must be {known}, not {kind!r}"
    return Problem(source.place(("kind",)), text)


def _claimed_twice(desired: Iterable[Desired]) -> Iterator[Problem]:
    """Yield a problem for each object that two manifests claim, and for each name that two manifests have.

    Nothing shows which of the two is the copy, so the message names both.
    """
    keys: dict[tuple[str, str], Desired] = {}
    names: dict[str, Desired] = {}
    for one in desired:
        claims = keys.setdefault((one.kind, one.key), one)
        if claims is not one:
            text = f"{one.kind} {one.key!r} is claimed by two manifests, {_label(claims)} and {_label(one)}: keep one of them"
            yield Problem(one.place, text)
        named = names.setdefault(one.name, one)
        if named is not one and named is not claims:  # a copy is one problem
            text = f"two manifests have the metadata.name {one.name!r}, at {named.place} and {one.place}: rename one of them"
            yield Problem(one.place, text)


def _label(one: Desired) -> str:
    return f"{one.name!r} at {one.place}"
