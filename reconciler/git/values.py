"""Values of the git package, and functions that check names and parse git's output."""

from __future__ import annotations

import hashlib
import re
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from reconciler.errors import SHORTENED_TO, GitError, safe
from reconciler.git.process import Ran

TREE: Final = "40000"
FILE: Final = "100644"

_HEX: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REF: Final = re.compile(r"refs(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")
_USER_IN_URL: Final = re.compile(r"://[^/@\s]+@")


@dataclass(frozen=True, slots=True)
class Identity:
    """Author and committer of a commit. Never read from `user.name`: CI machines have none."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit. `parents` are ids; a shallow clone lacks some of them."""

    id: str
    tree: str
    parents: tuple[str, ...]
    message: str


@dataclass(frozen=True, slots=True)
class Stat:
    """Type (`blob`, `tree`, `commit`, `tag`) and size in bytes of an object."""

    type: str
    size: int


@dataclass(frozen=True, slots=True)
class Signature:
    """Result of a signature check.

    Attributes:
        good: an allowed signer's signature is good.
        subject: the commit's subject.
        stranger: the signature is right, but its key is not that of an allowed signer.
    """

    good: bool
    subject: str
    stranger: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """A compare-and-swap of one ref, from `old` to `new`; `None` means that the ref does not exist.

    Attributes:
        exact: push with a lease on `old`, so that the remote accepts a value that does not descend from it. Otherwise the
            push is plain: the remote accepts descendants only.
    """

    ref: str
    new: str | None
    old: str | None
    exact: bool = False


Entry: TypeAlias = tuple[str, str]
"""Mode and object id of one name in a tree."""

TreeChange: TypeAlias = tuple[str, Entry | None, Entry | None]
"""A name, and its entry in the one tree and in the other."""


def first_line(ran: Ran) -> str:
    """Return the first line of a failed command's stderr, safe to show: escaped, shortened, without credentials."""
    stderr = ran.err.decode("utf-8", "replace").splitlines()
    useful = (line.strip() for line in stderr if not line.startswith("To "))  # the push's target
    line = next(filter(None, useful), _how_it_ended(ran.code))
    return shown_url(line)


def shown_url(text: str) -> str:
    """Return text for messages, without the user and the password of a URL in it."""
    return safe(_USER_IN_URL.sub("://…@", text), limit=SHORTENED_TO)


def _how_it_ended(code: int) -> str:
    """Return how a command ended that said nothing. A negative code is the signal that ended it (`subprocess`)."""
    if code >= 0:
        return f"exit code {code}"
    names = {each.value: each.name for each in signal.Signals}
    return f"ended by {names.get(-code, f'signal {-code}')}: somebody ended it, or it passed a limit (memory, size of a file, time). Run the command again"


def status_name(code: str) -> str:
    """Return the meaning of a status code of `git status --porcelain`."""
    match code:
        case "??":
            return "untracked"
        case "!!":
            return "ignored by git, but a manifest"
        case _ if code[0] != " ":
            return "staged"
        case _:
            return "missing" if "D" in code else "changed"


def type_of(mode: str) -> str:
    """Return the object type of a tree entry with this mode."""
    return {TREE: "tree", "160000": "commit"}.get(mode, "blob")


def blob_id(data: memoryview, length: int) -> str:
    """Return git's id of a blob: `length` hex digits, 40 for SHA-1 or 64 for SHA-256."""
    name = "sha1" if length == 40 else "sha256"  # noqa: PLR2004 - hex digits of SHA-1
    digest = hashlib.new(name, b"blob %d\0" % len(data), usedforsecurity=False)
    digest.update(data)
    return digest.hexdigest()


def update_line(move: Move) -> str:
    """Return the line of `git update-ref --stdin` for a move."""
    match move.old, move.new:
        case None, str(new):
            return f"create {ref_name(move.ref)} {object_id(new)}\n"
        case str(old), None:
            return f"delete {ref_name(move.ref)} {object_id(old)}\n"
        case str(old), str(new):
            return f"update {ref_name(move.ref)} {object_id(new)} {object_id(old)}\n"
        case _:
            raise ValueError(f"{move} moves nothing")


def parse_commit(id_: str, raw: bytes) -> Commit:
    """Parse a raw commit object."""
    head, _, message = raw.partition(b"\n\n")
    headers = [line.partition(b" ") for line in head.split(b"\n")]
    return Commit(
        id_,
        tree=next(value.decode() for name, _, value in headers if name == b"tree"),
        parents=tuple(value.decode() for name, _, value in headers if name == b"parent"),
        message=message.decode("utf-8", "replace"),
    )


def chosen_refs(
    found: Iterable[tuple[str, str]], names: Sequence[str], below: str | None
) -> dict[str, str]:
    """Return the object ids of the refs in `names`, in that order, then of the refs directly below `below`.

    Refs whose names are not accepted by `ref_name` are left out.
    """
    values = dict(found)
    chosen = {name: values[name] for name in names if name in values}
    if below is not None:
        chosen |= {
            ref: value
            for ref, value in sorted(values.items())
            if ref.rpartition("/")[0] == below and _REF.fullmatch(ref)
        }
    return chosen


def split_batch(out: bytes) -> Iterator[tuple[str, bytes]]:
    """Split the output of `contents` requests to `cat-file --batch-command`: `id type size`, the bytes, a line end."""
    at = 0
    while at < len(out):
        end = out.index(b"\n", at)
        header = out[at:end].decode().split(" ")
        if header[-1] == "missing":
            raise GitError(f"object {safe(header[0])} is not in this clone: fetch it")
        start = end + 1
        at = start + int(header[2]) + 1
        yield header[0], out[start : at - 1]


def split_changes(out: bytes, pairs: Sequence[tuple[str, str]]) -> list[list[TreeChange]]:
    """Split the output of `diff-tree --stdin --raw -z`: a line for the pair, then `:modes ids how`, NUL, name, NUL."""
    at = 0
    found: list[list[TreeChange]] = []
    for old, new in pairs:
        at += len(old) + len(new) + 2
        changes: list[TreeChange] = []
        while out[at : at + 1] == b":":
            nul = out.index(b"\0", at)
            end = out.index(b"\0", nul + 1)
            modes = out[at + 1 : nul].decode().split(" ")
            name = out[nul + 1 : end].decode("utf-8", "surrogateescape")
            changes.append((name, _side(modes[0], modes[2]), _side(modes[1], modes[3])))
            at = end + 1
        found.append(changes)
    return found


def _side(mode: str, value: str) -> Entry | None:
    return None if mode == "000000" else (mode.lstrip("0"), value)


def _checked(pattern: re.Pattern[str], what: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise GitError(f"{safe(text, limit=SHORTENED_TO)}: not {what}")
        return text

    return check


object_id = _checked(_HEX, "an object id")
ref_name = _checked(_REF, "the full name of a ref")
remote_name = _checked(re.compile(r"[A-Za-z0-9_./:][^\s\x00-\x1f]*"), "a remote")
