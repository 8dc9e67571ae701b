"""Play stories: `python -m tests.crash.kills SEED…` tells them, `--from A --to B` plays many, `--measure` kills nothing."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.crash.kills.figures import Figures
from tests.crash.kills.site import parents
from tests.crash.kills.story import Asked, play
from tests.crash.kills.strike import LENGTHS


def main() -> int:
    """Play what the arguments name; return 1 when a law was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", nargs="*", type=int)
    parser.add_argument("--from", dest="first", type=int)
    parser.add_argument("--to", dest="last", type=int)
    parser.add_argument("--focus", choices=sorted(LENGTHS), help="kill this command alone")
    parser.add_argument("--middle", action="store_true", help="also kill by real time")
    parser.add_argument("--measure", action="store_true", help="kill nothing")
    said = parser.parse_args()
    total, failed = Figures(), []
    with tempfile.TemporaryDirectory() as folder, parents() as both:
        for seed in said.seeds or range(said.first, said.last):
            asked = Asked(seed, said.focus, middle=said.middle, kills=not said.measure)
            story = play(asked, Path(folder), both)
            total.add(story.figures)
            print(f"seed {seed}: {len(story.laws.wrong)} broken, {total.killed} kills", flush=True)
            if story.laws.wrong or said.seeds:
                print(story.told(), flush=True)
            if story.laws.wrong:
                failed.append(seed)
    print(total)
    print(f"failed: {failed}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
