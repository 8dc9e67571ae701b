"""The shell blocks of the README, for whoever runs them word for word.

`python tests/readme.py run` prints the first block (the main job), `python tests/readme.py test` the second (the tests).
"""

import re
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
_BLOCK = re.compile(r"^```(?:sh|shell|bash|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

_TIME = re.compile(r"\d+\.\d+ s\b")


def blocks() -> list[str]:
    """Return the shell blocks in order."""
    return [match.strip() for match in _BLOCK.findall(README.read_text(encoding="utf-8"))]


def unseen(output: str) -> list[str]:
    """Return the lines of the sample output that the commands did not print, in its order; how long a step took may differ."""
    (sample,) = re.findall(
        r"^```text\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    printed = iter(_TIME.sub("", output).splitlines())
    lines = [line for line in sample.splitlines() if line.strip() != "…"]
    return [line for line in lines if _TIME.sub("", line) not in printed]


if __name__ == "__main__":
    print(blocks()[{"run": 0, "test": 1}[sys.argv[1]]])
