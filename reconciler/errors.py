"""The errors that reconcile raises on purpose, and their exit codes.

```
ReconcileError              1   failed; nothing was written
├── UsageError             64   the command line, or an ambiguous or unknown tenant
│   └── PushedElsewhere    64   a git remote is pushed to in another repository than it is fetched from
├── ManifestError          65   invalid files; carries every problem with its place
├── Refused                 5   a rule or a limit forbids it
├── StalePlan               4   the live state changed since the plan was approved
├── TenantLocked            6   another run is applying to this tenant
├── Unavailable            69   the platform or the git remote does not answer
│   ├── RemoteTimeout      69   the git remote did not answer a command in time
│   └── LockUnknown        69   the tenant's lock cannot be read, so nothing new is started
├── NotFinished            75   not done before --deadline or --wait; the next run finishes it
├── AccessError            77   the secret, the host or a scope (named)
├── ApiError                1   the platform refused
│   ├── UnknownObject       1   the platform has no such object
│   ├── Malformed           1   an answer violates the contract
│   ├── IncompleteList      1   a list of the platform contradicts itself
│   ├── UncertainWrite      1   a write was sent and its outcome is unknown: read before you send it again
│   └── PartlyWritten       1   only some parts of a write were written
├── GitError                1   a git command failed
│   └── GitMissing          1   there is no git on this machine
└── LedgerError             1   the audit records cannot be read, or do not verify
```

Findings are data, not errors (`policies`). Any other exception is a bug, and shows its traceback.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum
from typing import ClassVar, NamedTuple


class ExitCode(IntEnum):
    """Every exit code. Its docstring says what it means, then what to do; `reconcile explain` prints both."""

    DONE = 0
    """Done and active, or nothing to do.

    Nothing."""

    ERROR = 1
    """An error, or you declined the plan. Nothing was written. `audit verify`: the records do not verify. `plan`: the report does not fit. `simulate`: a bar was missed.

    Read the message. It names the cause and the next step."""

    CHANGES = 2
    """Changes are present, also held ones (`plan --detailed-exitcode`), something was changed outside git (`drift`), or a field could not be imported (`import`).

    Review the plan, then apply it. After `drift`: keep the change with `reconcile import`, or undo it with `reconcile apply`."""

    PARTLY = 3
    """Partly applied, or any failure after the first write. Also: all was done, but the report could not be printed (a full disk).

    Read which operations failed and why. The next `apply` settles what is open and does the rest."""

    STALE = 4
    """Stale approval: approved operations no longer match what is live, and were not run. `show --check`: the saved plan is out of date.

    Plan again, and have the new plan approved."""

    REFUSED = 5
    """Refused: by a rule or a limit, because the tenant's folder differs from the commit, or because HEAD does not descend from the commit applied last. Nothing was written.

    Correct the manifest, commit the folder, update the branch, or have the rule waived or the limit raised in `tenant.yaml`."""

    LOCKED = 6
    """Locked: another run is applying to this tenant.

    Wait until that run ends. If you know that it is dead: `reconcile lock release`."""

    USAGE = 64
    """Wrong usage; an unknown or ambiguous tenant; or not a terminal and no `--yes`.

    Correct the command line. `--help` shows the options."""

    MANIFESTS = 65
    """No manifests, or invalid ones; every problem is reported with file, line and column. `optimize --metrics`: no row of the CSV can be used.

    Correct the files, and check them with `reconcile validate`."""

    UNAVAILABLE = 69
    """The platform or the git remote is unavailable. `halt`: everything is silent, but the records could not be pushed.

    Run the command again later. After a `halt`, start no apply from another clone until the records are pushed."""

    NOT_FINISHED = 75
    """Not finished before `--deadline` or `--wait`. What was written is recorded.

    Run the same command again: it finishes what is open. If the dialer stays locked, allow more time with `--wait`."""

    ACCESS = 77
    """A secret, a host or a scope is missing or wrong; the message names which.

    Set the variable that the message names (`reconcile explain environment`), or have the scope granted."""

    INTERRUPTED = 130
    """Interrupted (SIGINT) after a checkpoint.

    Run the command again: it finishes what is open."""

    TERMINATED = 143
    """Terminated (SIGTERM, or SIGHUP: the terminal closed) after a checkpoint.

    Run the command again: it finishes what is open."""


SHORTENED_TO = 256
"""Most characters of foreign text (an answer's body, a field of a manifest) in one message."""

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that a terminal interprets or hides: control, format (bidi, zero width), surrogate, line separator, paragraph separator."""


_WORD = re.compile(r"[\w\u0300-\u036f]+")
"""A word, including combining accents."""

_LOOK_ALIKE = ("CYRILLIC ", "GREEK ", "ARMENIAN ", "CHEROKEE ", "COPTIC ", "LISU ")
"""Scripts with letters that look like Latin ones: within a word that has Latin letters, they are shown as escapes."""

_VARIANTS = ("FULLWIDTH ", "MATHEMATICAL ")
"""Letters and digits that differ from ASCII ones only in shape."""

_COMMANDS = re.compile(r"(?<!\S):(?=:)|(?<=##)\[")
"""Where GitHub's log reader could see a command: two colons that start a word (it trims the line first, so an
indentation is no defence) and ``##[`` anywhere (`ActionCommand.cs` of actions/runner)."""


def safe(text: str, *, limit: int | None = None) -> str:
    r"""Return `text` with every character that could steer a terminal, or the log of a CI run, shown as ``\uXXXX``.

    Lookalike characters are shown as escapes, too: special spaces, letters of another script within a Latin word, and separate
    accents. So two different names never look the same.

    Args:
        text: untrusted text: from a manifest, the platform or the environment.
        limit: cut to this many characters, with an ellipsis, when given.
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    if not (text.isascii() and text.isprintable()):
        text = _WORD.sub(_unlike, "".join(escaped(c) if _is_odd(c) else c for c in text))
    if "::" in text or "##[" in text:
        text = _COMMANDS.sub(lambda found: escaped(found[0]), text)
    return text


def is_hidden(character: str) -> bool:
    """Return whether a terminal interprets or hides a character."""
    import unicodedata  # noqa: PLC0415 - most of what is shown is plain

    return unicodedata.category(character) in _HIDDEN


def _is_odd(char: str) -> bool:
    """Return whether a character is hidden, or a letter, digit or space that looks like an ASCII one."""
    if char.isascii():
        return is_hidden(char)
    import unicodedata  # noqa: PLC0415 - most of what is shown is plain

    space = unicodedata.category(char) == "Zs" and char != "\N{IDEOGRAPHIC SPACE}"
    return space or is_hidden(char) or unicodedata.name(char, "").startswith(_VARIANTS)


def _unlike(found: re.Match[str]) -> str:
    """Return a word. If it has Latin letters, escape look-alike letters of other scripts and detached accents."""
    word = found[0]
    if word.isascii() or not any("a" <= char <= "z" for char in word.lower()):
        return word
    import unicodedata  # noqa: PLC0415 - most of what is shown is plain

    return "".join(
        escaped(char)
        if unicodedata.combining(char) or unicodedata.name(char, "").startswith(_LOOK_ALIKE)
        else char
        for char in word
    )


def escaped(character: str) -> str:
    r"""Return a character as its escape: ``\u202e``."""
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - what four digits can say


class Place(NamedTuple):
    """A position in a file. Lines and columns count from 1; 0 means "the whole file"."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return safe(where)


class Problem(NamedTuple):
    """One problem of a file, and what to do about it."""

    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {safe(self.message)}"


class ReconcileError(Exception):
    """The command failed, and nothing was written."""

    exit_code: ClassVar[ExitCode] = ExitCode.ERROR


class UsageError(ReconcileError):
    """The command line is wrong: an option, a path, an unknown or ambiguous tenant."""

    exit_code = ExitCode.USAGE


class ManifestError(ReconcileError):
    """Files are invalid. Carries every problem, sorted by place."""

    exit_code = ExitCode.MANIFESTS

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))


class Refused(ReconcileError):
    """A rule or a limit forbids the command. The message names it, and how to allow the command."""

    exit_code = ExitCode.REFUSED


class StalePlan(ReconcileError):
    """The live state changed since the plan was approved."""

    exit_code = ExitCode.STALE


class TenantLocked(ReconcileError):
    """Another run is applying to this tenant."""

    exit_code = ExitCode.LOCKED


class Unavailable(ReconcileError):
    """The platform or the git remote does not answer, or answers with server errors only."""

    exit_code = ExitCode.UNAVAILABLE


class RemoteTimeout(Unavailable):
    """The git remote did not answer a command in time, so the result of the command is unknown. It is no refusal: do not repeat it in another way."""


class LockUnknown(Unavailable):
    """The tenant's lock cannot be read. Nothing was sent: an emergency stop may have taken the lock."""


class NotFinished(ReconcileError):
    """Not done before `--deadline` or `--wait`; the next run finishes it."""

    exit_code = ExitCode.NOT_FINISHED


class AccessError(ReconcileError):
    """The secret, the host or a scope is missing or wrong. The message names which."""

    exit_code = ExitCode.ACCESS


class ApiError(ReconcileError):
    """The platform refused a request. Never carries the body, only the reasons that the dialect took from it.

    Attributes:
        status: HTTP status; 0 when no answer came.
        where: method and path, without the host.
        reasons: the platform's messages, shortened and escaped, one line each.
    """

    def __init__(self, status: int, where: str, reasons: Iterable[str] = ()) -> None:
        self.status = status
        self.where = where
        self.reasons = tuple(safe(reason, limit=SHORTENED_TO) for reason in reasons)
        said = "; ".join(self.reasons) or "no reason given"
        answered = f"answered {status}" if status else "gave no answer"
        super().__init__(f"the platform {answered} to {safe(where)}: {said}")


class UnknownObject(ApiError):
    """The platform has no such object: it answered 404 to a request for the object itself."""


class Malformed(ApiError):
    """An answer is JSON and violates the contract. Of an answer about one object, only that object cannot be read."""


class IncompleteList(ApiError):
    """A list of the platform contradicts itself, so an object that it does not hold may exist."""


class UncertainWrite(ApiError):
    """A write was sent and its outcome is unknown (reset, timeout, server error, key in flight).

    The caller must read the live state before it retries the write with the same idempotency key.
    """


class PartlyWritten(ApiError):
    """Only some parts of a write were written. Parts that widened were put back where possible; the reasons say which were not."""


class GitError(ReconcileError):
    """A git command failed."""


class PushedElsewhere(UsageError):
    """A git remote is pushed to in another repository than it is fetched from."""


class GitMissing(GitError):
    """There is no git on this machine."""


class LedgerError(ReconcileError):
    """The audit records cannot be read, or do not verify."""
