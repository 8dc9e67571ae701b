"""One story: a tenant's life drawn from a seed, in which commands are killed, and the laws that every story obeys.

`python -m tests.crash.kills SEED` plays one again and tells it.
"""

from __future__ import annotations

import io
import json
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.crash.kills import front as fronts
from tests.crash.kills import strike
from tests.crash.kills.cast import cast_of, manifests, merge_files, rewrite
from tests.crash.kills.figures import FAULTS, Figures, server_of
from tests.crash.kills.front import Clock, Front
from tests.crash.kills.laws import Laws
from tests.crash.kills.site import Parent, Ran, Running, Site
from tests.quirks.platform import START

SPEED = 10.0
"""How many times as fast as real time all clocks run. Git does not hurry, so a time limit of 5 s leaves it half a second."""

KILLED_SHARE = 0.85
FOCUSED_WITHIN = 0.4
"""Share of a command's length in which a story about one command kills it: a command that got shorter is killed all the same."""

EXPIRY_S = 4 * 3600.0
"""More than any lock lives."""


@dataclass(frozen=True)
class Asked:
    """What is played.

    Attributes:
        seed: draws everything.
        focus: the only command to kill, in one round; `None`: any, in some rounds.
        middle: also kill in the middle of a git child, by real time.
        kills: off to measure how long commands are.
    """

    seed: int
    focus: str | None = None
    middle: bool = False
    kills: bool = True

    def command(self) -> str:
        """Return the command that plays this again and tells it."""
        more = [f"--focus {self.focus}"] if self.focus else []
        more += ["--middle"] if self.middle else []
        return " ".join(("python -m tests.crash.kills", str(self.seed), *more))


@dataclass
class Story:
    """See the module. `play()` goes through it; `laws.wrong` then says what was broken."""

    asked: Asked
    site: Site
    figures: Figures
    rng: random.Random
    server: str

    def __post_init__(self) -> None:
        self.cast = cast_of(self.site.front.platform)
        self.laws = Laws(self.site, self.cast)
        self.focus = self.asked.focus
        self.cast.seed()

    def play(self) -> None:
        """Go through the story."""
        try:
            self.begin()
            for _ in range(1 if self.focus else self.rng.randint(2, 3)):
                self._round()
            self.end()
        except (Broken, TimeoutError) as broken:
            self.laws.broken("stuck", str(broken))

    def told(self) -> str:
        """Return all that happened, and what was broken."""
        return "\n".join(self.site.told)

    # --- chapters ------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Take over what the platform holds, with a killed import now and then."""
        path = self.site.path
        if self._kills("import", 0.4):
            self.run("import", path, killed=True)
            self.laws.whole_files()
        self._until("import", path)
        if self.rng.random() < 0.3:
            merge_files(self.site.folder)
        self.site.commit("take over")
        if self.focus is None and self.rng.random() < 0.3:
            self._apply()
        else:
            self._until("apply", "--yes", path)

    def _kills(self, command: str, share: float = KILLED_SHARE) -> bool:
        """Draw whether a command is killed."""
        drawn = self.rng.random() < share
        return self.asked.kills and (drawn if self.focus is None else command == self.focus)

    def _round(self) -> None:
        """Change something, and run commands that may be killed."""
        rng = self.rng
        if self.focus is not None:
            self._only(self.focus)
            return
        if rng.random() < 0.85:
            self._edit()
        if rng.random() < 0.4:
            self._hand()
        if rng.random() < 0.4:
            self._halt()
            if rng.random() < 0.4:
                self._apply()
            if rng.random() < 0.5:
                self._release()
        else:
            self._apply()
        if rng.random() < 0.15:
            self._take_over()

    def _only(self, command: str) -> None:
        """Change something, and kill one kind of command."""
        self._edit()
        if command in {"halt", "release"}:
            self._halt()
        if command == "release":
            self._release()
        if command == "apply":
            self._apply()
        if command == "import":
            self._hand()
            self._take_over()

    def end(self) -> None:
        """Turn the faults off; two applies bring everything there."""
        front, site, laws = self.site.front, self.site, self.laws
        front.faults, front.platform.quirks = False, front.platform.quirks - set(FAULTS)
        site.told.append("faults are off")
        self.cast.rest()
        site.pass_by(EXPIRY_S)
        if any(each.command == "halt" for each in site.ran):
            self.run("apply", "--yes", site.path)  # it wakes nothing that is held
            ran = self.run("release", site.path, "--all", "--reason", "over")
            if ran.code:
                laws.broken("release", ran.line())
            laws.released()
        names = self._settled()
        if names:
            laws.stops.clear()
            self._settled("--revert", names)
        verdict = self.run("audit", "verify", site.path)
        if verdict.code:
            laws.broken("verify", verdict.line())
        laws.finally_()

    def _settled(self, option: str = "", names: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Apply once or twice, and check that all is as it should be; return the names of what is held."""
        path, laws = self.site.path, self.laws
        more = [part for name in names for part in (option, name)]
        ran = self.run("apply", "--yes", path, *more)
        if ran.code:
            ran = self.run("apply", "--yes", path, *more)
        if ran.code:
            laws.broken("not-converged", f"two applies, and it ends with {ran.line()}")
        said = self._plan()
        self.site.front.platform.clock.ahead_s += 60  # type: ignore[attr-defined]
        if left := [f"{each['action']} {each['key']}" for each in said if each["action"] != "held"]:
            laws.broken("not-converged", f"the plan still shows {', '.join(left)}")
        laws.converged({each["key"] for each in said}, whole=bool(names))
        return tuple(each["name"] for each in said)

    # --- steps ---------------------------------------------------------------------------------------------------------

    def _edit(self) -> None:
        """Change one to three manifests in git, or retire one, or bring it back, or ask for a new campaign."""
        rng, site = self.rng, self.site
        said = manifests(site.folder, self.cast.id_field)

        def edited(text: str) -> str:
            return self.cast.edited(text, rng)

        for key in rng.sample(sorted(said), min(len(said), rng.randint(1, 3))):
            turned = rng.random() < 0.2
            while not rewrite(
                site.folder, self.cast.id_field, key, self._turned if turned else edited
            ):
                pass  # the draw was what it says already
            self.laws.committed(key)
        fresh = set(self.cast.keys) - set(said)
        if fresh and rng.random() < 0.6:
            self._new(min(fresh), said)
        site.commit("edits")

    def _turned(self, text: str) -> str:
        """Retire a campaign, or bring it back; skills cannot be retired."""
        if self.cast.id_field == "skill_id":
            return self.cast.edited(text, self.rng)
        if "retired: true" in text:
            return text.replace("  retired: true\n", "")
        return text.replace("metadata:\n", "metadata:\n  retired: true\n")

    def _new(self, key: str, said: dict[str, Any]) -> None:
        """Ask for an object that no manifest names, after the model of another."""
        model = said[min(said)]
        spec = json.loads(json.dumps(model["spec"], default=str)) | {self.cast.id_field: key}
        metadata = {"name": f"new-{key}"}
        text = {"apiVersion": model["apiVersion"], "kind": model["kind"], "metadata": metadata}
        path = self.site.folder / f"new-{key}.yaml"
        path.write_text(_yaml(text | {"spec": spec}, self.cast.id_field, key), encoding="utf-8")

    def _hand(self) -> None:
        """Change one or two objects by hand, but none that is stopped."""
        free = [key for key in self.cast.keys if key not in self.laws.stops]
        for key in self.rng.sample(free, min(len(free), self.rng.randint(1, 2))):
            said = self.cast.hand(key, self.rng)
            self.laws.by_hand(key)
            self.site.told.append(f"by hand: {said}")

    def _apply(self) -> None:
        path = self.site.path
        ran = self.run("apply", "--yes", path, killed=self._kills("apply"))
        if ran.struck or ran.code:
            for key in self.cast.keys:
                self.laws.excuse(key, "unsure")
        if ran.struck:
            self._move_on()
            if self.rng.random() < 0.6:
                self.run("apply", "--yes", path)
        elif ran.code == 6:
            self._move_on()

    def _halt(self) -> None:
        path, rng = self.site.path, self.rng
        keys = ("--all",) if rng.random() < 0.4 else (rng.choice(self.cast.keys),)
        told = ("--reason", "calls at night")
        killed = self._kills("halt")
        if rng.random() < 0.25:
            self._overtake(("halt", path, *keys, *told), killed=killed)
            return
        ran = self.run("halt", path, *keys, *told, killed=killed)
        if ran.struck:
            self._move_on(locked=False)
            if rng.random() < 0.5:
                self.run("halt", path, *keys, *told)

    def _overtake(self, halt: tuple[str, ...], *, killed: bool) -> None:
        """Stop while an apply runs: it is frozen at some request, and goes on when the stop has ended."""
        apply, nth = ("apply", "--yes", self.site.path), self.rng.randint(3, 14)
        for key in self.cast.keys:
            self.laws.excuse(key, "unsure")
        before = self.laws.before()
        ran = self.site.frozen(apply, nth, lambda it: self._stop_beside(halt, it, killed=killed))
        self.laws.after(ran, before)

    def _stop_beside(self, halt: tuple[str, ...], running: Running, *, killed: bool) -> None:
        if self.run(*halt, killed=killed, beside=running).struck and self.rng.random() < 0.5:
            self.run(*halt, beside=running)

    def _release(self) -> None:
        told = ("release", self.site.path, "--all", "--reason", "corrected")
        ran = self.run(*told, killed=self._kills("release"))
        self.laws.released()
        if ran.struck:
            self._move_on(locked=False)
        elif ran.code == 6:
            self._move_on()

    def _take_over(self) -> None:
        """Import what hands changed, and commit it."""
        site = self.site
        ran = self.run("import", site.path, killed=self._kills("import"))
        self.laws.whole_files()
        if ran.struck and ran.code not in {0, 2}:
            ran = self.run("import", site.path)
        if ran.code in {0, 2}:
            site.commit("import")
            self.laws.committed(*self.cast.keys)

    # --- inside --------------------------------------------------------------------------------------------------------

    def run(
        self,
        *arguments: str,
        killed: bool = False,
        kill: strike.Kill | None = None,
        beside: Running | None = None,
    ) -> Ran:
        """Run a command, judge it, and count it; `killed` draws a kill of it."""
        if killed:
            within = FOCUSED_WITHIN if self.focus else 1.0
            kill = strike.drawn(self.rng, arguments[0], middle=self.asked.middle, within=within)
        before = self.laws.before()
        ran = self.site.run(*arguments, kill=kill, beside=beside)
        self.laws.after(ran, before, beside=beside is not None)
        self.figures.count(ran, self.server)
        return ran

    def _until(self, *arguments: str) -> None:
        """Run a command until it is done; faults may fail it some times."""
        for _ in range(4):
            if self.run(*arguments).code in {0, 2}:
                return
        raise Broken(f"{' '.join(arguments)} is never done")

    def _plan(self) -> list[dict[str, Any]]:
        ran = self.run("plan", "--format", "json", self.site.path)
        if ran.code:
            raise Broken(ran.line())
        return list(json.loads(ran.out[ran.out.index("{") :])["operations"])

    def _move_on(self, *, locked: bool = True) -> None:
        """Go on after a kill: in this clone or a new one, and past the dead run's lock in one of several ways."""
        if self.rng.random() < 0.5:
            self.site.clone_again()
            self.figures.clones += 1
        way = self.rng.choice(("wait", "take away", "leave"))
        if way == "wait":
            self.site.pass_by(EXPIRY_S)
        elif way == "take away" and locked:
            self.run("lock", "release", self.site.path)


class Broken(Exception):
    """The story cannot go on."""


def _yaml(said: dict[str, Any], id_field: str, key: str) -> str:
    """Return a manifest as the other steps expect to find it."""
    out = io.StringIO()
    YAML().dump(said, out)
    return out.getvalue().replace(f"{id_field}: {key}", f'{id_field}: "{key}"')


@contextmanager
def told(asked: Asked, folder: Path, parents: tuple[Parent, Parent]) -> Iterator[Story]:
    """Give a story before its first step, with its platform at work."""
    api, quirks, faults = server_of(asked.seed)
    epoch, root = time.monotonic(), folder / f"seed{asked.seed}-{asked.focus}"
    root.mkdir()
    platform = fronts.opened(api, Clock(START, epoch, SPEED), quirks)
    front = Front(platform, asked.seed, faults)
    rng = random.Random(asked.seed)
    path = rng.choice(("schedules/acme", "tenants/eu/acme"))
    server = f"{api} {'+'.join((*quirks, *(['faults'] if faults else []))) or 'honest'}"
    with fronts.served(front) as url:
        if isinstance(platform, fronts.Skills):
            platform.url = url
        site = Site(root, parents, front, url, START, epoch, SPEED, path, counts=not asked.kills)
        site.told.append(f"{asked.command()}: {server}")
        yield Story(asked, site, Figures(stories=1), rng, server)
    shutil.rmtree(root, ignore_errors=True)


def play(asked: Asked, folder: Path, parents: tuple[Parent, Parent]) -> Story:
    """Play a story to its end; `laws.wrong` of it says what was broken."""
    with told(asked, folder, parents) as story:
        story.play()
    return story
