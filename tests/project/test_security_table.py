"""The table of threats names tests; each of them exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(?P<file>tests/[\w/]+\.py)::(?P<test>test_\w+)`")


def rows() -> list[str]:
    text = (ROOT / ".github" / "SECURITY.md").read_text(encoding="utf-8")
    table = text.partition("## Threats, defences, tests")[2].partition("|---|---|---|\n")[2]
    return [line for line in table.splitlines() if line.startswith("|")]


def test_each_threat_has_a_defence_and_a_test() -> None:
    assert rows()
    for row in rows():
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert len(cells) == 3
        assert all(cells)
        assert NAMED.sub("", cells[2]).replace("<br>", "").strip() == ""


def test_each_test_that_is_named_exists() -> None:
    named = {(found["file"], found["test"]) for row in rows() for found in NAMED.finditer(row)}
    missing = [
        f"{file}::{test}"
        for file, test in sorted(named)
        if not (ROOT / file).is_file()
        or not re.search(rf"^(?:async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE)
    ]
    assert missing == []
