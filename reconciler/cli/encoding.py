"""Replace characters that an output stream cannot encode, so that printing never fails a command."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from reconciler.report import Report

ERRORS: Final = "reconcile.replace"
"""Name of the error handler."""

_BLOCKS: Final = dict(zip("█▒·▁▂▃▄▅▆▇", "#:.1234567", strict=True))
_ASCII: Final = {
    "→": "->",
    "…": "...",
    "÷": "/",
    "≤": "<=",
    "≥": ">=",
    "±": "+/-",
    "\N{MULTIPLICATION SIGN}": "x",
    **_BLOCKS,
}
"""ASCII for the signs that reconcile prints itself."""


def as_printed(stream: TextIO, environ: Mapping[str, str]) -> Callable[[str], str] | None:
    """Return a function from a text to what `stream` will print; `None` if every text is printed as it is.

    In the locales C and POSIX our own signs become ASCII. Python writes UTF-8 there, too, but a terminal without a configured encoding
    may not show it.
    """
    named = next(filter(None, map(environ.get, ("LC_ALL", "LC_CTYPE", "LANG"))), "")
    ours = {ord(sign): ascii_ for sign, ascii_ in _ASCII.items()} if named in {"C", "POSIX"} else {}
    encoding = codecs.lookup(getattr(stream, "encoding", None) or "utf-8").name
    if encoding == "utf-8":
        return (lambda text: text.translate(ours)) if ours else None
    return lambda text: text.translate(ours).encode(encoding, ERRORS).decode(encoding)


def in_report(report: Report, change: Callable[[str], str]) -> Report:
    """Change every text of a report that people read. A renderer that aligns columns must measure the text that is printed."""
    return report._replace(
        title=change(report.title),
        verdict=change(report.verdict),
        tables=_changed(report.tables, change),
        notes=_changed(report.notes, change),
        facts=_changed(report.facts, change),
        charts=_changed(report.charts, change),
    )


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    if type(value) is str:  # an enumeration of texts stays what it is
        return value if value.isascii() else change(value)
    if isinstance(value, tuple | list):
        parts = [_changed(each, change) for each in value]
        return value._make(parts) if hasattr(value, "_make") else type(value)(parts)
    if isinstance(value, Mapping):
        return {_changed(key, change): _changed(each, change) for key, each in value.items()}
    return value


def replace_unencodable() -> None:
    r"""Have stdout and stderr replace what they cannot encode.

    Our own signs become ASCII (`->`). Every other character becomes an escape (`\u0159`), so that two names never look the same.
    """
    codecs.register_error(ERRORS, _replace)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # closed, or somebody's own
            stream.reconfigure(errors=ERRORS)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    from reconciler.errors import escaped

    return "".join(_ASCII.get(char) or escaped(char) for char in lacking), error.end
