"""A report for machines: only its `data`."""

from __future__ import annotations

import json

from reconciler.report import Report


def render(report: Report) -> str:
    """Return the result as JSON: sorted keys, two spaces, ASCII only, one line feed at the end.

    ``##[`` and DEL can only stand inside strings, where JSON may spell them differently: a CI log reader takes the first
    for a command wherever it stands, and a terminal obeys the second.

    Raises:
        TypeError: `data` holds a value that JSON cannot represent.
        ValueError: `data` holds NaN or an infinity.
    """
    text = json.dumps(report.data, sort_keys=True, indent=2, ensure_ascii=True, allow_nan=False)
    return text.replace("##[", "##\\u005b").replace("\x7f", "\\u007f") + "\n"
