"""Which server a story meets, and what is counted over stories."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from tests.crash.kills.site import Ran
from tests.quirks.platform import BOTH

SERVERS = {
    "campaigns": (
        (),
        ("no-keys",),
        ("no-etags",),
        ("no-keys", "no-etags"),
        ("ignores-expand",),
        ("refuses-expand", "no-keys"),
        ("no-etags", "ignores-expand"),
        ("hidden-when-new",),
        ("constant-updated-at",),
        ("no-instants", "empty-200"),
        ("short-pages",),
    ),
    "personal-connection": (
        (),
        ("no-bulk",),
        ("short-pages",),
        ("hidden-when-new",),
        ("wrapped", "empty-200"),
        ("skill-in-list", "no-bulk"),
    ),
}
"""What a server is like for good."""

FAULTS = (
    "lost-answers",
    "locked-as-json",
    "rate-bursts",
    "retry-after-date",
    "revoked-tokens",
    "html-as-json",
)
"""What ends when the faults are off. Some touch one API alone."""


def server_of(seed: int) -> tuple[str, tuple[str, ...], bool]:
    """Return the API, the quirks and whether the wire goes wrong, of a seed."""
    rng = random.Random(f"server {seed}")
    api = BOTH[seed % 2]
    quirks = rng.choice(SERVERS[api])
    if rng.random() < 0.4:
        quirks += (rng.choice(FAULTS),)
    return api, quirks, rng.random() < 0.4


@dataclass
class Figures:
    """What was counted over stories."""

    stories: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    servers: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    clones: int = 0
    longest: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def killed(self) -> int:
        return sum(self.kills.values())

    def add(self, other: Figures) -> None:
        self.stories += other.stories
        self.kills += other.kills
        self.servers += other.servers
        self.missed += other.missed
        self.clones += other.clones
        for command, length in other.longest.items():
            self._longer(command, length)

    def count(self, ran: Ran, server: str) -> None:
        self._longer(ran.command, (ran.requests, ran.children))
        if ran.struck:
            self.kills[ran.command] += 1
            self.servers[server] += 1
        self.missed += ran.kill is not None and not ran.struck

    def _longer(self, command: str, length: tuple[int, int]) -> None:
        known = self.longest.get(command, (0, 0))
        self.longest[command] = (max(known[0], length[0]), max(known[1], length[1]))

    def __str__(self) -> str:
        kills = ", ".join(f"{count} of {name}" for name, count in sorted(self.kills.items()))
        servers = ", ".join(f"{name}: {count}" for name, count in sorted(self.servers.items()))
        return (
            f"{self.stories} stories, {self.killed} kills ({kills}), {self.missed} that never came, {self.clones} new clones\n"
            f"kills by server: {servers}\nlongest commands (requests, git children): {self.longest}"
        )
