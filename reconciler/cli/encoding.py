"""Replace characters that an output stream cannot encode, so that printing never fails a command."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Mapping
from typing import Final

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


def in_locale(text: str, environ: Mapping[str, str]) -> str:
    """Replace our own signs by ASCII if the locale is C or POSIX; return other text unchanged.

    Python writes UTF-8 in these locales, too, but a terminal without a configured encoding may not show it.
    """
    named = next(filter(None, map(environ.get, ("LC_ALL", "LC_CTYPE", "LANG"))), "")
    ours = {ord(sign): ascii_ for sign, ascii_ in _ASCII.items()}
    return text.translate(ours) if named in {"C", "POSIX"} else text


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
