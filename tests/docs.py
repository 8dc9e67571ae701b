"""The parts of `.github/docs/` that the code knows: written between markers, checked by the gate and by `test_docs`.

`python tests/docs.py` writes them, `python tests/docs.py --check` says which are stale. A part is

    <!-- generated: fields Tenant -->
    <!-- end -->

and its name is a topic of `reconcile explain`, with the title of one of its tables where the topic has several.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from reconciler.audit.schema import HEADER, RecordKind, fields_of
from reconciler.cli.explain import topics
from reconciler.report import Table

PAGES = Path(__file__).parent.parent / ".github" / "docs"
PART = re.compile(
    r"^(<!-- generated: ([^\n]+) -->\n).*?(?=^<!-- end -->$)", re.MULTILINE | re.DOTALL
)


def parts() -> dict[str, str]:
    """Return every part in Markdown, by its name."""
    found = {}
    for topic, tables in topics().items():
        several = tables()
        for table in several:
            name = topic if len(several) == 1 else f"{topic} {table.title}"
            found[name] = "\n".join(markdown(table)) + "\n"
    return found | {"fields of records": "\n".join(_records()) + "\n"}


def _records() -> Iterator[str]:
    """Yield a table of the fields of each kind of record."""
    yield "| record | field | value |"
    yield "|---|---|---|"
    for kind, rules in [("every", HEADER), *((kind, fields_of(kind)) for kind in RecordKind)]:
        for name, rule in rules.items():
            words = rule.words if rule.needed else f"{rule.words}; may be absent"
            yield f"| {kind} | `{name}` | {words} |"


def markdown(table: Table) -> Iterator[str]:
    """Yield the lines of a table, then a section for each row that has details."""
    yield f"| {' | '.join(table.columns)} |"
    yield "|---" * len(table.columns) + "|"
    for row in table.rows:
        name, *cells = [cell.replace("|", "\\|") for cell in row.cells]
        yield f"| `{name}` | {' | '.join(cells)} |"
    for row in table.rows:
        if row.details:
            yield from ("", f"### `{row.name}`", "", *row.details)


def current(page: str, known: Mapping[str, str]) -> str:
    """Return a page with every part as the code has it."""
    return PART.sub(lambda part: part[1] + known[part[2]], page)


def stale(known: Mapping[str, str]) -> dict[Path, str]:
    """Return the pages with a part that is not as the code has it, each as it should be."""
    pages = {page: page.read_text(encoding="utf-8") for page in sorted(PAGES.glob("*.md"))}
    updated = {page: current(text, known) for page, text in pages.items()}
    return {page: text for page, text in updated.items() if text != pages[page]}


if __name__ == "__main__":
    found = stale(parts())
    if sys.argv[1:] == ["--check"]:
        names = ", ".join(page.name for page in found)
        sys.exit(f"stale in .github/docs: {names}; run `python tests/docs.py`" if found else 0)
    for page, text in found.items():
        page.write_text(text, encoding="utf-8")
