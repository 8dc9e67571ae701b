"""The life of a change against a platform with quirks, and the checks that every life must pass."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.quirks import oracle
from tests.quirks.campaigns import Campaigns
from tests.quirks.desk import Desk, Ran, desk
from tests.quirks.platform import QUIRKS, Clock, Platform, Write
from tests.quirks.scenarios import Scenario, manifest_of, scenario
from tests.quirks.skills import Skills

TENANT = "schedules/acme"
UNTRUE = {"constant-updated-at", "no-instants", "instants-in-the-past", "instants-in-the-future"}
ROUNDED = {"instants-without-seconds"}
"""Instants that may or may not lie between the intent and the read-back."""

SHORT, STOP, WHOLE, PHASES = range(4)
ALIKE = (
    "short-pages",
    "booleans",
    "wrapped",
    "instants-",
    "expires",
    "no-expires",
    "expand",
    "no-total",
    "no-instants",
)


def pair(api: str, seed: int) -> tuple[str, ...]:
    """Return two quirks that do not contradict each other."""
    rng = random.Random(seed)
    while True:
        first, second = rng.sample([quirk for quirk, apis in QUIRKS.items() if api in apis], 2)
        if not _contradict(first, second):
            return tuple(sorted((first, second)))


def in_pairs(quirks: Iterable[str]) -> list[tuple[str, ...]]:
    """Return each quirk once, two for one life; one alone where every other one contradicts it."""
    left, found = list(quirks), list[tuple[str, ...]]()
    while left:
        first = left.pop(0)
        second = next((each for each in left if not _contradict(first, each)), None)
        if second is None:
            found.append((first,))
        else:
            left.remove(second)
            found.append((first, second))
    return found


def _contradict(first: str, second: str) -> bool:
    return any(_of(first, word) and _of(second, word) for word in ALIKE)


def _of(quirk: str, word: str) -> bool:
    family = {
        "no-total": "short-pages",
        "no-expires": "expires",
        "no-instants": "instants-",
        "constant-updated-at": "instants-",
    }
    return family.get(word, word) in quirk or family.get(quirk, "-") == family.get(word, word)


def platform(api: str, quirks: tuple[str, ...]) -> Platform:
    return (Campaigns if api == "campaigns" else Skills)(Clock(), quirks)


@dataclass
class Life:
    """One life: `live()` goes through it and returns what was wrong, each by the name of its check.

    Attributes:
        depth: `SHORT` ends after the edits, `STOP` after an emergency stop, `WHOLE` after its release; `PHASES` has a phase for the
            edits in git and one for those by hand, and a plan after each, where the others make both at once.
    """

    desk: Desk
    scene: Scenario
    depth: int
    wrong: list[str] = field(default_factory=list)
    expected: dict[str, oracle.Facts | None] = field(default_factory=dict)
    hands: dict[str, Any] = field(default_factory=dict)

    @property
    def platform(self) -> Any:
        return self.scene.platform

    def live(self) -> list[str]:
        try:
            self._live()
        except Stop as stop:
            self.wrong.append(str(stop))
        self._duplicates()
        self._lost_fields()
        return self.wrong

    def _live(self) -> None:
        folder = self.desk.folder
        self._import()
        self.desk.commit("take over")
        self._apply("apply-imported", {})
        if self.depth >= PHASES:
            self._nothing_but_held("plan-imported")
        self.scene.edit(folder)
        self.desk.commit("edit")
        if self.depth >= PHASES:
            self._apply("apply-edits", {})
            self._as_expected("edits", {})
            self._nothing_but_held("plan-edits")
        hands = self.scene.hands()
        self._apply("apply-hands", hands)
        self._as_expected("hands", hands)
        self._nothing_but_held("plan-hands")
        if self.depth >= PHASES:
            self._revert(hands)
        if self.depth >= STOP:
            self._stop()
        if self.depth >= WHOLE:
            self._again()

    # --- phases -----------------------------------------------------------------------------------------------------------

    def _import(self) -> None:
        ran = self.desk.run("import", TENANT)
        if ran.code:
            raise Stop(f"import-exit: {ran.code}: {said(ran)}")
        held = [key for key in self.platform.objects if self.platform.stored(key)]
        if missing := [key for key in held if manifest_of(self.desk.folder, key) is None]:
            raise Stop(f"import-missing: exit 0 without {', '.join(missing)}: {said(ran)}")

    def _revert(self, hands: dict[str, Any]) -> None:
        """Undo one hand's narrowing by name, and nothing else."""
        key = self.scene.reverted
        path = manifest_of(self.desk.folder, key)
        self._apply("apply-reverted", {each: hands[each] for each in hands if each != key}, path)
        self._as_expected("reverted", {each: hands[each] for each in hands if each != key})
        self._nothing_but_held("plan-reverted")

    def _apply(self, name: str, hands: dict[str, Any], reverted: Path | None = None) -> None:
        facts, scene = self.scene.facts, self.scene
        self.expected = {}
        for key, body in scene.desired.items():
            wanted = facts(body)
            self.expected[key] = oracle.meet(facts(hands[key]), wanted) if key in hands else wanted
        old = {key: self._held(key) for key in self.platform.objects}
        more = ["--revert", reverted.stem] if reverted else []
        ran = self.desk.run("apply", "--yes", TENANT, *more)
        self._exit(ran, name)
        self._never_wider(name, ran, old)
        self._narrowings_first(name, ran, old)
        self._recorded(name, ran)

    def _stop(self) -> None:
        self.scene.before_stop()
        ran = self.desk.run("halt", "--all", "--reason", "calls at night", TENANT)
        self._exit(ran, "halt")
        self.platform.clock.s += 60
        if ran.code == 0 and (dialing := self.platform.silent()):
            self.wrong.append(f"halt-not-silent: exit 0, and these dial: {', '.join(dialing)}")

    def _again(self) -> None:
        self._exit(self.desk.run("release", "--all", "--reason", "corrected", TENANT), "release")
        old = {key: self._held(key) for key in self.platform.objects}
        ran = self.desk.run("apply", "--yes", TENANT)
        self._exit(ran, "apply-released")
        self._never_wider("apply-released", ran, old)
        self._recorded("apply-released", ran)
        self.platform.clock.s += 60
        for key in self.scene.desired:
            for which in ("stored", "active"):
                found, wanted = self._fact(key, which), self.expected[key]
                if more := oracle.wider(found, [wanted]):
                    self.wrong.append(f"released-wider: {key} {which}: {', '.join(more)}")
                elif key not in self.scene.held and oracle.differing(found, wanted):
                    names = ", ".join(oracle.differing(found, wanted))
                    self.wrong.append(f"released-not-back: {key} {which}: {names}")
        self._nothing_but_held("plan-released")

    # --- checks -----------------------------------------------------------------------------------------------------------

    def _exit(self, ran: Ran, name: str) -> None:
        if ran.code:
            self.wrong.append(f"{name}-exit: {ran.code}: {said(ran)}")

    def _fact(self, key: str, which: str) -> oracle.Facts | None:
        return self.scene.facts(getattr(self.platform, which)(key))

    def _held(self, key: str) -> list[oracle.Facts | None]:
        return [self._fact(key, "stored"), self._fact(key, "active")]

    def _as_expected(self, name: str, hands: dict[str, Any]) -> None:
        """Check that no hand's narrowing is undone, no hand's widening kept, and all else as git says."""
        self.platform.clock.s += 60
        for key, wanted in self.expected.items():
            hand = self.scene.facts(hands[key]) if key in hands else None
            for which in ("stored", "active"):
                found = self._fact(key, which)
                if key in hands and (undone := oracle.wider(found, [hand])):
                    self.wrong.append(
                        f"{name}-narrowing-undone: {key} {which}: {', '.join(undone)}"
                    )
                if more := oracle.wider(found, [self.scene.facts(self.scene.desired[key])]):
                    self.wrong.append(f"{name}-widening-kept: {key} {which}: {', '.join(more)}")
                elif (other := oracle.differing(found, wanted)) and not oracle.wider(
                    found, [wanted]
                ):
                    self.wrong.append(f"{name}-too-narrow: {key} {which}: {', '.join(other)}")

    def _writes(self, ran: Ran) -> Iterator[Write]:
        for line in self.platform.journal[ran.begun : ran.ended]:
            if line.who == "product" and line.status < 300:
                yield line

    def _never_wider(self, name: str, ran: Ran, old: dict[str, list[oracle.Facts | None]]) -> None:
        """Check that nothing stored or dialed is wider than what was, or what was approved, at any write."""
        for line in self._writes(ran):
            known = [*old.get(line.key, []), self.expected.get(line.key)]
            for which, body in (("stored", line.stored), ("active", line.active)):
                if more := oracle.wider(self.scene.facts(body), known):
                    self.wrong.append(
                        f"{name}-wider: {line.what} {line.key} {which}: {', '.join(more)}"
                    )

    def _narrowings_first(
        self, name: str, ran: Ran, old: dict[str, list[oracle.Facts | None]]
    ) -> None:
        """Check that nothing is widened before whatever only narrows is active."""
        narrowed = {
            key: wanted
            for key, wanted in self.expected.items()
            if old.get(key, [None])[0] is not None
            and oracle.differing(old[key][0], wanted)
            and not oracle.wider(wanted, [old[key][0]])
        }
        for line in self._writes(ran):
            if oracle.wider(self.scene.facts(line.stored), old[line.key]):
                late = [
                    key
                    for key, wanted in narrowed.items()
                    if oracle.wider(self.scene.facts(line.dialing[key]), [wanted])
                ]
                if late:
                    self.wrong.append(f"{name}-order: {line.key} widened before {', '.join(late)}")
                return

    def _recorded(self, name: str, ran: Ran) -> None:
        """Check that each write has an intent that was kept before it, and an outcome after."""
        lines = list(self._writes(ran))
        if not lines:
            return
        after = self.desk.records()
        outcomes = {each["intent"] for each in after if each["kind"] == "outcome"}
        self._evidence(name, after)
        known: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for line in lines:
            refs = tuple(sorted(line.refs.items()))
            before = known.setdefault(
                refs, self.desk.records(line.refs) if refs not in known else []
            )
            mine = [
                each for each in before if each["kind"] == "intent" and each["target"] == line.key
            ]
            if not mine:
                self.wrong.append(f"{name}-no-intent: {line.what} {line.key}")
            elif not any(each["id"] in outcomes for each in mine):
                self.wrong.append(f"{name}-no-outcome: {line.what} {line.key}")

    def _evidence(self, name: str, records: list[dict[str, Any]]) -> None:
        """Check that a latency is told where the platform's instants can be true, and nowhere else."""
        if self.platform.api != "campaigns" or self.platform.quirks & ROUNDED:
            return
        untrue = bool(self.platform.quirks & UNTRUE)
        for each in records:
            if each["kind"] == "outcome" and each["result"] in {"updated", "created"}:
                latency = each["latency_s"]
                if untrue and latency is not None:
                    self.wrong.append(
                        f"{name}-evidence: {each['target']}: a latency of {latency} s"
                    )
                elif not untrue and (latency is None or not 0 <= latency < 120):
                    self.wrong.append(f"{name}-evidence: {each['target']}: latency {latency}")

    def _nothing_but_held(self, name: str) -> None:
        ran = self.desk.run("plan", "--format", "json", TENANT)
        if ran.code:
            self.wrong.append(f"{name}-exit: {ran.code}: {said(ran)}")
            return
        plan = ran.json
        self._findings(name, plan)
        more = [
            f"{each['action']} {each['key']}"
            for each in plan["operations"]
            if each["action"] != "held"
        ]
        if more:
            self.wrong.append(f"{name}: not only held: {', '.join(more)}")

    def _findings(self, name: str, plan: dict[str, Any]) -> None:
        """Check that no rule speaks of what nobody ever managed."""
        for each in plan["findings"]:
            if each["key"] and each["key"] not in self.scene.desired:
                self.wrong.append(
                    f"{name}-finding: {each['rule']} {each['key']}: {each['message']}"
                )

    def _duplicates(self) -> None:
        last: dict[tuple[str, str], Write] = {}
        before: dict[str, Any] = {}
        for line in self.platform.journal:
            if line.who == "hand" or line.status >= 300:
                last = {key: each for key, each in last.items() if key[0] != line.key}
            elif line.block not in {"refresh", "stop"}:
                same = last.get((line.key, line.block))
                if same is not None and (same.what, same.body) == (line.what, line.body):
                    if same.lost and self.platform.api != "campaigns":
                        continue  # a whole block may be sent again when nobody heard what became of it
                    self.wrong.append(f"duplicate: {line.what} {line.key} at {line.at:.2f}")
                elif line.key in before and before[line.key] == line.stored:
                    self.wrong.append(f"needless: {line.what} {line.key} at {line.at:.2f}")
                last[line.key, line.block] = line
            before[line.key] = line.stored

    def _lost_fields(self) -> None:
        """Check that no write of a block dropped or changed a setting that no manifest manages."""
        for line in self.platform.journal:
            if line.block == "general-settings" and line.status < 300:
                kept = {
                    "minimumRatio": 1,
                    "abandonRateCutoff": 5,
                    "callerIdOverride": "+12125550100",
                }
                for name, value in kept.items():
                    if str(line.body.get(name)) != str(value):
                        self.wrong.append(f"field-lost: {line.key} {name}: {line.body.get(name)}")

    # --- telling ----------------------------------------------------------------------------------------------------------

    def story(self) -> str:
        """Return all that is needed to see what happened, and to play it again."""
        commands = "\n".join(ran.line() for ran in self.desk.ran)
        journal = "\n".join(line.line() for line in self.platform.journal[-60:])
        return f"{commands}\n--- journal ---\n{journal}"


class Stop(Exception):
    """The life cannot go on."""


def said(ran: Ran) -> str:
    """Return the lines that say what went wrong."""
    lines = [line.strip() for line in (ran.err + ran.out).splitlines() if line.strip()]
    words = (
        "error",
        "traceback",
        "not active",
        "not started",
        "overtaken",
        "failed",
        "! ",
        "refused",
    )
    loud = [line for line in lines if any(word in line for word in words) and "held" not in line]
    return " | ".join(loud[:6] or lines[-3:])[:500]


def life(
    made: Path,
    folder: Path,
    api: str,
    quirks: tuple[str, ...],
    *,
    seed: int = 0,
    depth: int = WHOLE,
) -> Life:
    """Return the life of a change at a tenant of `api` with these quirks."""
    place = desk(made, folder, platform(api, quirks))
    os.chdir(place.clone)
    return Life(place, scenario(place.platform, random.Random(seed)), depth)
