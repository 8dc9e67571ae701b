"""Edit single values of manifest files. Every other byte stays: comments, order, quoting, indentation, line ends.

The reader records where each scalar's text begins and ends, so an edit is a splice of the text. Ruamel's round-trip mode
would need less code, and it keeps comments, but it normalizes indentation, spacing, quoting and line ends: an edit of one
number could touch every line of a reviewed file. It is also slower, because it loads and dumps the whole file in Python.
The price of the splice is that some layouts must be edited by hand. Each edited text is read again and compared before it
is returned, and a property test compares it with the same edit by round trip: both load to the same data.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from reconciler.errors import ManifestError, Place, Problem, UsageError
from reconciler.manifests import reader
from reconciler.manifests.folders import read_file, show
from reconciler.manifests.reader import Document, Spot
from reconciler.manifests.sources import Source
from reconciler.manifests.writer import flow

Scalar: TypeAlias = str | int | float | bool
Value: TypeAlias = Scalar | Mapping[str, Scalar]
Changes: TypeAlias = Mapping[tuple[str, str], Scalar]
"""New values by manifest name and dotted key, such as ``("spring-renewals", "spec.dial_rate")``."""


class _Splice(NamedTuple):
    """A replacement of the characters [start, end) of a file."""

    start: int
    end: int
    text: str


def edit(path: Path, changes: Changes, *, text: str | None = None) -> str:
    """Return the text of a manifest file with new values; nothing is written.

    A key that the manifest takes from its profile is added to the manifest, which then wins.

    Args:
        path: the file.
        changes: see `Changes`.
        text: text to edit instead of the file's content: the result of an earlier edit that is not saved yet.

    Raises:
        UsageError: the file holds no manifest of that name.
        ManifestError: the file is not valid YAML, or the value has no text that can be replaced.
    """
    file, text, documents = _open(path, text)
    at = {(_find(documents, name, file), key): value for (name, key), value in changes.items()}
    return _edit(text, file, documents, at)


def edit_settings(path: Path, changes: Mapping[str, Value]) -> str:
    """Return the text of a `tenant.yaml` with new values; nothing is written.

    Args:
        path: the file.
        changes: new values by dotted key, such as `spec.audit.began`. A mapping is only for a key that is not there yet.

    Raises:
        ManifestError: as `edit`.
    """
    file, text, documents = _open(path, None)
    return _edit(text, file, documents, {(0, key): value for key, value in changes.items()})


def _open(path: Path, text: str | None) -> tuple[str, str, tuple[Document, ...]]:
    file = show(path)
    data = read_file(file) if text is None else text.encode("utf-8")
    return file, data.decode("utf-8", errors="replace"), reader.read(data, file, keep_places=True)


def _edit(
    text: str,
    file: str,
    documents: tuple[Document, ...],
    changes: Mapping[tuple[int, str], Value],
) -> str:
    """Return the text with new values by document and dotted key."""
    wanted = [deepcopy(document.value) for document in documents]
    splices = []
    for (index, dotted), value in changes.items():
        keys = tuple(dotted.split("."))
        splices += _splices(text, Source(file, documents[index]), keys, value)
        _set(wanted[index], keys, value)
    splices.sort(key=lambda each: (each.start, each.end))
    for splice in reversed(splices):
        text = text[: splice.start] + splice.text + text[splice.end :]
    _check(text, wanted, file)
    return text


def has(path: Path, keys: reader.Path) -> bool:
    """Return whether the first document of a file has a value at a path.

    Raises:
        ManifestError: the file is not valid YAML.
    """
    value: Any = _open(path, None)[2][0].value
    for key in keys:
        if not isinstance(value, Mapping) or key not in value:
            return False
        value = value[key]
    return True


def save(path: Path, text: str) -> None:
    """Replace a manifest file atomically: a concurrent reader sees the old text or the new one, never a part.

    Raises:
        UsageError: the folder cannot be written to.
    """
    try:
        _write_beside(path, text.encode()).replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {show(path)}: {error.strerror}") from None


@contextmanager
def replacing(texts: Mapping[Path, str], before: Mapping[Path, bytes | None]) -> Iterator[None]:
    """Replace several files of a tenant's folder at the end of the context: all of them, or none if anything fails or is raised.

    The new content lies beside the files when the context begins. So hardly anything can fail at its end, and if it does, the files
    that were already replaced get their old content back.

    Args:
        texts: new content by file.
        before: content of each of these files when it was read; `None`: there was none.

    Raises:
        UsageError: a file was changed since it was read, or a folder cannot be written to.
        ManifestError: a file cannot be read.
    """
    waiting: dict[Path, Path] = {}
    replaced: list[Path] = []
    try:
        for path, text in texts.items():
            _check_unchanged(path, before[path])
            waiting[path] = _write_beside(path, text.encode())
        yield
        for path in texts:
            _check_unchanged(path, before[path])
        for path, aside in waiting.items():
            aside.replace(path)
            replaced.append(path)
    except BaseException as error:
        for path in replaced:
            _restore(path, before[path])
        if isinstance(error, OSError):
            raise UsageError(
                f"cannot write {error.filename}: {error.strerror}; no manifest is changed"
            ) from None
        raise
    finally:
        for aside in waiting.values():
            aside.unlink(missing_ok=True)


def _restore(path: Path, before: bytes | None) -> None:
    if before is None:
        path.unlink()
    else:
        _write_beside(path, before).replace(path)


def _check_unchanged(path: Path, before: bytes | None) -> None:
    is_new = not path.exists() and not path.is_symlink()
    if (None if is_new else read_file(show(path))) != before:
        raise UsageError(
            f"{show(path)} was changed while this command ran: no manifest is changed; run it again"
        )


def _write_beside(path: Path, data: bytes) -> Path:
    """Write a file's new content beside it, with its permissions; return where.

    What lies there already is a leftover or a trap, such as a link to a file elsewhere: it is removed, and never written to.

    Raises:
        OSError: the file is read-only, or its folder cannot be written to.
    """
    aside = path.with_name(f".{path.name}.new")
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
    if mode is not None and not mode & stat.S_IWUSR:
        raise PermissionError(errno.EACCES, "the file is read-only", str(path))
    aside.unlink(missing_ok=True)
    try:
        with aside.open("xb") as file:
            file.write(data)
        if mode is not None:
            aside.chmod(mode)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    return aside


def _find(documents: tuple[Document, ...], name: str, file: str) -> int:
    for index, document in enumerate(documents):
        metadata = document.value.get("metadata")
        if isinstance(metadata, dict) and metadata.get("name") == name:
            return index
    raise UsageError(f"{file} holds no manifest named {name!r}")


def _splices(text: str, source: Source, keys: tuple[str, ...], value: Value) -> list[_Splice]:
    spot = source.document.spots.get(keys)
    if spot is None:
        return [_addition(text, source, keys, value)]
    old = _get(source.document.value, keys)
    if isinstance(old, dict | list):
        raise _by_hand(source.place(keys), keys)
    if _same(old, value):
        return []
    return [_Splice(spot.text.start, spot.text.stop, _write(source, keys, value))]


def _addition(text: str, source: Source, keys: tuple[str, ...], value: Value) -> _Splice:
    """Return the splice that adds a key behind the last scalar of its mapping, quoted like the key of that scalar."""
    spots = source.document.spots
    beside = [
        spot
        for path, spot in spots.items()
        if path[:-1] == keys[:-1] and _is_one_line(text, source, path, spot)
    ]
    if not beside:
        raise _by_hand(source.place(keys), keys)
    last = max(beside, key=lambda spot: spot.text.stop)
    quote, end = last.key.style or "", last.text.stop
    entry = f"{quote}{keys[-1]}{quote}: {_write(source, keys, value, quote)}"
    if last.flow:
        return _Splice(end, end, f", {entry}")
    stop = text.find("\n", end)
    newline = "\r\n" if _ends_in_crlf(text, stop) else "\n"
    end = len(text) if stop < 0 else stop - len(newline) + 1
    _, column = last.mark(of_key=True)
    return _Splice(end, end, newline + " " * (column - 1) + entry)


def _ends_in_crlf(text: str, stop: int) -> bool:
    """Return whether the line whose line feed is at `stop` ends in CR LF. For a last line without one (-1), the file decides."""
    return "\r\n" in text if stop < 0 else text[:stop].endswith("\r")


def _is_one_line(text: str, source: Source, path: reader.Path, spot: Spot) -> bool:
    value = _get(source.document.value, path)
    return not isinstance(value, dict | list) and "\n" not in text[spot.text]


def _check(text: str, wanted: list[Any], file: str) -> None:
    """Check that the edited text parses to the requested values."""
    if [document.value for document in reader.read(text.encode(), file)] != wanted:
        raise ManifestError([Problem(Place(file), "is laid out so that it must be edited by hand")])


def _by_hand(place: Place, keys: tuple[str, ...]) -> ManifestError:
    return ManifestError([Problem(place, f"{'.'.join(keys)} must be edited by hand here")])


def _write(source: Source, keys: tuple[str, ...], value: Value, quote: str = "") -> str:
    """Return a value on one line; `quote` stands around its keys."""
    try:
        return flow(value, quote)
    except ValueError as error:
        said = f"{'.'.join(keys)} cannot be written: {error}"
        raise ManifestError([Problem(source.place(keys), said)]) from None


def _same(old: object, new: Value) -> bool:
    return old == new and isinstance(old, bool) == isinstance(new, bool)


def _get(value: Any, keys: reader.Path) -> Any:
    for key in keys:
        value = value[key]
    return value


def _set(value: Any, keys: tuple[str, ...], new: Value) -> None:
    *above, last = keys
    _get(value, tuple(above))[last] = dict(new) if isinstance(new, Mapping) else new
