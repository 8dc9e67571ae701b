"""Replace characters that an output stream cannot encode, so that no output can change what a command does or returns."""

from __future__ import annotations

import codecs
import sys
from typing import Final

ERRORS: Final = "reconcile.replace"
"""Name of the error handler."""

_ASCII: Final = {"→": "->", "…": "...", "÷": "/", "≤": "<=", "≥": ">="}
"""ASCII for the signs that reconcile prints itself."""


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
