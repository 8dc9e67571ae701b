"""Makes what a team has: a git remote whose ledger has a long history, a clone of it, and the platform.

A process of its own, like `ground.py`: `python team_ground.py TOP --count N --records N --port N`. TOP gets `remote.git`,
`clone` with the folder `bench`, `state.db`, and `made.json` with what a reader needs to know. Each apply of the history has a commit of its own; the last one is HEAD. Every
manifest was applied, so each has a last applied state, which is what it says today.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from ground import body, write_folder, write_state

from reconciler.ledger.refs import RefNames
from reconciler.models import platform_of
from reconciler.plan import Operation
from tests.support import history
from tests.support.gitfakes import ENVIRON, operation

CHANGES: Final = 40
"""Operations of each apply of the history."""

KILLED_EVERY: Final = 50
"""One of so many applies was killed before it recorded its outcomes."""

START: Final = datetime(2025, 1, 1, tzinfo=UTC)
"""The first apply of the history; one an hour follows."""

NEWEST: Final = 12
"""Applies that count as the newest: about 1,000 records."""

WHO: Final = ("-c", "user.name=bench", "-c", "user.email=bench@localhost")


@dataclass(frozen=True)
class Team:
    """A remote and a clone in a folder, for one tenant.

    Attributes:
        top: the folder.
        platform: identity of the platform.
        count: manifests.
        applies: in the history.
    """

    top: Path
    platform: str
    count: int
    applies: int

    @property
    def clone(self) -> Path:
        return self.top / "clone"

    @property
    def remote(self) -> Path:
        return self.top / "remote.git"

    def git(self, *arguments: str, at: Path | None = None, stdin: bytes = b"") -> str:
        """Run git in the clone, or elsewhere, and return what it prints."""
        command = ["git", *WHO, *arguments]
        done = subprocess.run(
            command,
            cwd=at or self.clone,
            env=ENVIRON,
            input=stdin,
            stdout=subprocess.PIPE,
            check=True,
        )
        return done.stdout.decode().strip()

    def make(self, url: str, rate: float) -> dict[str, int | str]:
        """Make everything but the state of the platform; return the number of records, and since when the newest were made."""
        self.clone.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        self.git("commit", "-q", "--allow-empty", "-m", "Begin")
        commits = [self.git("rev-parse", "HEAD")]
        story = history.Story(
            applies=self.applies,
            changes=min(CHANGES, self.count),
            objects=self.count,
            halt_every=0,
            crash_every=KILLED_EVERY,
            tenant=self.platform,
            start=START,
            commit_of=lambda number: commits[number],
            change=applied,
        )
        began = next(iter(replace(story).appends()))[0].id
        declared = f'  audit: {{ledger: "{self.platform}", began: "{began}"}}\n'
        write_folder(self.clone / "bench", self.count, rate, url=url, declared=declared)
        self.git("add", "bench")
        self.git("commit", "-q", "-m", "Add the schedules")
        self._commit(self.applies - 2)
        commits[:] = self.git("rev-list", "--reverse", "HEAD").split()
        self.git("clone", "-q", "--bare", str(self.clone), str(self.remote), at=self.top)
        self.git("remote", "add", "origin", f"file://{self.remote}")
        made = history.write(self.remote, story.appends(), tenant=self.platform)
        names = RefNames.of(self.platform)
        self.git("update-ref", names.mirror, names.ledger, at=self.remote)
        since = START + timedelta(seconds=story.seconds, hours=-NEWEST)
        return {"records": made, "since": f"{since:%Y-%m-%dT%H:%M:%SZ}"}

    def _commit(self, count: int) -> None:
        """Add so many commits without a change."""
        lines: Iterable[str] = (
            f"commit refs/heads/main\ncommitter bench <bench@localhost> {1_800_000_000 + number} +0000\n"
            f"data 8\nA change\n{'' if number else 'from refs/heads/main^0'}\n"
            for number in range(count)
        )
        self.git("fast-import", "--quiet", stdin="".join(lines).encode())


def applied(key: int, version: int) -> Operation:
    """Return the write that gave a campaign what its manifest says today. Every second one changed its rate before."""
    stored = body(key, changed=False)
    return replace(
        operation(stored["campaign_id"], rate=stored["dial_rate"]),
        desired=stored,
        live=stored | {"dial_rate": stored["dial_rate"] + 1 + version % 2},
    )


def applies_of(records: int, count: int) -> int:
    """Return how many applies make about so many records, the last of which was not killed; with 0, each manifest is applied once."""
    changes = min(CHANGES, count)
    once = -(-count // changes)
    number = max(once, round(records / (2 * changes + 2)))
    return max(2, number + (number % KILLED_EVERY == 0))


def main() -> None:
    """Make it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("top", type=Path)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--records", type=int, required=True, help="0: only the last states")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--changed", type=float, default=0.0, help="share that differs")
    parser.add_argument("--rate", type=float, default=0.0, help="requests per second; 0: no limit")
    asked = parser.parse_args()
    url = f"http://127.0.0.1:{asked.port}"
    applies = applies_of(asked.records, asked.count)
    team = Team(asked.top, platform_of("campaigns", url, "bench"), asked.count, applies)
    made = team.make(url, asked.rate)
    write_state(asked.top / "state.db", asked.count, asked.changed, asked.rate)
    (asked.top / "made.json").write_text(json.dumps({**made, "port": asked.port}))


if __name__ == "__main__":
    main()
