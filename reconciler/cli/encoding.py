"""Output streams whose encoding lacks a character: it is replaced, for no output may change what a command did or returns."""

from __future__ import annotations

import codecs
import sys
from typing import Final

ERRORS: Final = "reconcile.replace"
"""Name of the error handler."""

_ASCII: Final = {"→": "->", "…": "...", "÷": "/", "≤": "<=", "≥": ">="}
"""What our own signs read as."""


def replace_unencodable() -> None:
    r"""Have stdout and stderr replace what they cannot encode.

    Our own signs become ASCII (`->`). Every other character becomes an escape (`\u0159`), so that two names never look the same.
    """
    codecs.register_error(ERRORS, _replaced)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # closed, or somebody's own
            stream.reconfigure(errors=ERRORS)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    from reconciler.errors import escaped

    return "".join(_ASCII.get(char) or escaped(char) for char in lacking), error.end
