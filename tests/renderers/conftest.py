"""Golden files: `REWRITE_GOLDENS=1 pytest tests/renderers` writes them anew; look at the diff before you commit it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.renderers._markup import STYLE

FOLDER = Path(__file__).parent / "golden"


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare a whole output with the file that holds it; the style of a page, and its hash, are left out."""

    def compare(name: str, output: str) -> None:
        file = FOLDER / name
        output = re.sub(r"'sha256-[^']+'", "'sha256-…'", output.replace(STYLE, "…"))
        if os.environ.get("REWRITE_GOLDENS"):
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(output.encode("utf-8"))
        assert output.encode("utf-8") == file.read_bytes()

    return compare
