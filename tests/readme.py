"""The shell blocks of the README, for whoever runs them word for word.

`python tests/readme.py run` prints the first block (the main job), `python tests/readme.py test` the second (the tests).
"""

import re
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
_BLOCK = re.compile(r"^```(?:sh|shell|bash|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[str]:
    """Return the shell blocks in order."""
    return [match.strip() for match in _BLOCK.findall(README.read_text(encoding="utf-8"))]


if __name__ == "__main__":
    print(blocks()[{"run": 0, "test": 1}[sys.argv[1]]])
