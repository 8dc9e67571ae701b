"""What must hold whatever is killed: judged by the platform's own journal and by what git holds, never by what the product says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAMLError

from tests.crash.kills.cast import CampaignCast, Facts, SkillCast, manifests
from tests.crash.kills.site import Ran, Site
from tests.quirks import oracle
from tests.quirks.platform import Write

Before = dict[str, list[Facts]]
WITHOUT_WRITES = {"release", "import", "plan", "audit", "lock"}
ODD_CODES = {1, 64, 65, 77, 99, -99}
"""Exit codes that no command of a story has a reason for: a usage error, a refused secret, a crash, a hang."""


@dataclass
class Stop:
    """A stop of one object: what must not dial again.

    Attributes:
        since: number of lines in the journal when the stop had ended.
        by: the command that stopped it.
        held: it was reported silent and held; otherwise its DELETE was carried out and the command died.
        holds: how many holds of the object had been recorded before.
    """

    since: int
    by: str
    held: bool
    holds: int = 0


@dataclass
class Laws:
    """Watches one site.

    Attributes:
        wrong: what was broken, each by the name of its law.
        stops: what is stopped, by key.
        excused: why an object may be held, or be found as a hand left it, by key.
        known: the records that the shared refs held at any moment, by `identity`.
        applied: what git asked when an apply ended well with it stored, by key.
        narrowed: what a hand left of what had been applied, by key, until git asks for something else.
    """

    site: Site
    cast: CampaignCast | SkillCast
    wrong: list[str] = field(default_factory=list)
    stops: dict[str, Stop] = field(default_factory=dict)
    excused: dict[str, set[str]] = field(default_factory=dict)
    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    applied: dict[str, Facts] = field(default_factory=dict)
    narrowed: dict[str, Facts] = field(default_factory=dict)

    @property
    def platform(self) -> Any:
        return self.cast.platform

    def broken(self, law: str, said: str) -> None:
        self.wrong.append(f"{law}: {said}")
        self.site.told.append(f"!!! {law}: {said}")

    # --- around a command ----------------------------------------------------------------------------------------------

    def before(self) -> Before:
        """Return what every object stores and dials when a command begins."""
        return {
            key: [self._fact(key, "stored"), self._fact(key, "active")] for key in self.cast.keys
        }

    def after(self, ran: Ran, before: Before, *, beside: bool = False) -> None:
        """Judge a command that ended, in whatever way; `beside`: while an apply ran."""
        self._process(ran)
        lines = self._lines(ran)
        if ran.command in WITHOUT_WRITES and lines:
            self.broken("writes", f"{ran.name} wrote: {lines[0].line()}")
        if ran.command == "apply":
            self._intended(ran, lines)
            self._still_narrowed(ran, lines)
        wanted = self.wanted() if ran.command == "apply" or beside else {}
        self._never_wider(ran, lines, before, wanted)
        self._stopped()
        holds = self._holds()
        for each in self.site.records(self.site.refs()):
            self.known.setdefault(identity(each), each)
        if ran.command == "halt":
            self._halted(ran, lines, {key for key, facts in before.items() if any(facts)}, holds)

    def _process(self, ran: Ran) -> None:
        if "Traceback" in ran.out:
            self.broken("traceback", f"{ran.name}: {ran.out[-600:]}")
        if ran.code in ODD_CODES and not (ran.struck and ran.code == 1):
            self.broken("exit", ran.line())

    def _lines(self, ran: Ran) -> list[Write]:
        """Return the writes of a command that the platform carried out."""
        return [
            line
            for who, line in self.site.front.lines()
            if who == ran.name and line.status < 300 and line.block not in {"", "refresh"}
        ]

    def _fact(self, key: str, which: str) -> Facts:
        return self.cast.facts(getattr(self.platform, which)(key))

    def wanted(self) -> dict[str, Facts]:
        """Return what the manifests ask of each object; `None`: retired."""
        said = manifests(self.site.folder, self.cast.id_field)
        return {
            key: None if each["metadata"].get("retired") else self.cast.wanted(key, each["spec"])
            for key, each in said.items()
        }

    # --- laws of writes ------------------------------------------------------------------------------------------------

    def _intended(self, ran: Ran, lines: list[Write]) -> None:
        """Check that the shared refs held an open intent before each write."""
        for line in lines:
            if line.key not in intended(self.site.records(line.refs)):
                self.broken("no-intent", f"{ran.name}: {line.line()} {line.key}")

    def _never_wider(
        self, ran: Ran, lines: list[Write], before: Before, wanted: Mapping[str, Facts]
    ) -> None:
        """Check that nothing stored or dialed goes beyond what was there before the command and what git asks."""
        for line in lines:
            known = [*before[line.key], wanted.get(line.key)]
            for which, body in (("stored", line.stored), ("active", line.active)):
                if more := oracle.wider(self.cast.facts(body), known):
                    self.broken(
                        "wider", f"{ran.name}: {line.line()} {line.key} {which}: {', '.join(more)}"
                    )

    def _still_narrowed(self, ran: Ran, lines: list[Write]) -> None:
        """Check that no narrowing by hand was undone. Note what is applied now."""
        for line in lines:
            if line.key not in self.narrowed or "--revert" in ran.arguments:
                continue
            guard = self.narrowed[line.key]
            if more := oracle.wider(self.cast.facts(line.stored), [guard]):
                self.broken("undone", f"{ran.name}: {line.line()} {line.key}: {', '.join(more)}")
        if ran.code == 0:
            for key, wanted in self.wanted().items():
                if not oracle.differing(self._fact(key, "stored"), wanted):
                    self.applied[key] = wanted

    def by_hand(self, key: str) -> None:
        """Note what a hand stored: what it narrowed stays narrow while git asks what was applied."""
        self.excuse(key, "hand")
        wanted = self.wanted()
        if key in self.applied and not oracle.differing(self.applied[key], wanted.get(key)):
            self.narrowed[key] = self._fact(key, "stored")

    def committed(self, *keys: str) -> None:
        """Note that git asks something else of these objects from now on."""
        for key in keys:
            self.narrowed.pop(key, None)
            self.applied.pop(key, None)

    def _stopped(self) -> None:
        """Check that nothing of a stop dials again."""
        for key, stop in list(self.stops.items()):
            facts = self._at_rest(key, stop.since)
            for who, line in list(self.site.front.lines())[stop.since :]:
                if who == "hand" or line.key != key or line.status >= 300:
                    continue
                again = oracle.wider(self.cast.facts(line.stored), [facts])
                if facts is None and line.stored is None and line.active is None:
                    again = []
                if again:
                    law = "unheld-stop" if stop.held else "unheld-killed-stop"
                    self.broken(law, f"{key}, stopped by {stop.by}: {who}: {line.line()}")
                    del self.stops[key]
                    break

    def _at_rest(self, key: str, since: int) -> Facts:
        for _, line in reversed(list(self.site.front.lines())[:since]):
            if line.key == key:
                return self.cast.facts(line.stored)
        return None

    def _holds(self) -> Counter[str]:
        return Counter(target(each) for each in self.known.values() if each["kind"] == "hold")

    def _halted(
        self, ran: Ran, lines: list[Write], could_dial: set[str], holds: Counter[str]
    ) -> None:
        """Note what a stop reached. One that says that it is done must be silent and held."""
        keys = self._named(ran)
        records = self.site.records(self.site.refs())
        for key in keys:
            if ran.code == 0:
                self._silent(ran, key)
                if key not in held(records) and key not in could_dial:
                    continue  # nothing was there to be stopped
                if key in could_dial and key not in held(records):
                    self.broken(
                        "no-hold", f"{ran.name} ended with 0, and no hold of {key} is shared"
                    )
                self.stops[key] = Stop(len(self.platform.journal), ran.name, held=True)
                self.excuse(key, "stopped")
            elif key in held(records) or any(line.key == key for line in lines):
                self.excuse(key, "stopped")
        for line in lines:
            gone = line.what == "DELETE" and line.key not in self.stops
            if ran.code != 0 and gone and line.stored is None:
                now = len(self.platform.journal)
                self.stops[line.key] = Stop(now, ran.name, held=False, holds=holds[line.key])

    def _named(self, ran: Ran) -> list[str]:
        named = [key for key in self.cast.keys if key in ran.arguments]
        return list(self.cast.keys) if "--all" in ran.arguments else named

    def _silent(self, ran: Ran, key: str) -> None:
        held_there = self.platform.objects[key]
        self.platform._tick()
        dials = held_there.get("running") if "running" in held_there else held_there["active"]
        if dials:
            self.broken("not-silent", f"{ran.name} ended with 0, and {key} dials")

    def whole_files(self) -> None:
        """Check that no killed command left a manifest half written."""
        try:
            manifests(self.site.folder, self.cast.id_field)
        except (YAMLError, KeyError, TypeError) as error:
            self.broken("half-written", repr(error))

    # --- what may be held ----------------------------------------------------------------------------------------------

    def excuse(self, key: str, why: str) -> None:
        self.excused.setdefault(key, set()).add(why)

    def released(self) -> None:
        """Take all stops as ended, but those that no hold was recorded of."""
        holds = self._holds()
        self.stops = {
            key: stop
            for key, stop in self.stops.items()
            if not stop.held and holds[key] <= stop.holds
        }

    # --- at the end ----------------------------------------------------------------------------------------------------

    def finally_(self) -> None:
        """Judge the whole story: no record lost, none missing, none twice; nothing deployed twice."""
        history = {identity(each): each for each in self.site.history()}
        lost = [each for key, each in self.known.items() if key not in history]
        for each in lost:
            self.broken("lost", f"a record that was shared once: {each}")
        self._recorded(list(history.values()))
        for law, said in self._duplicates():
            self.broken(law, said)

    def _recorded(self, history: list[dict[str, Any]]) -> None:
        """Check that each write has an intent with an outcome."""
        ended = {each.get("intent") for each in history if each["kind"] == "outcome"}
        intents = [each for each in history if each["kind"] == "intent" and "id" in each]
        for each in intents:
            if each["id"] not in ended:
                self.broken("open", f"an intent without outcome: {each}")
        told = {target(each) for each in intents if each["id"] in ended}
        commands = {each.name: each for each in self.site.ran}
        for who, line in self.site.front.lines():
            if who == "hand" or line.status >= 300 or line.block in {"", "refresh"}:
                continue
            excused = commands[who].command == "halt" and commands[who].code != 0
            if line.key not in told and not excused:
                self.broken("no-record", f"{who}: {line.line()} {line.key}")

    def _duplicates(self) -> Iterator[tuple[str, str]]:
        """Find writes that were carried out once more: by the same body again, or by a command whose first write of a part changes nothing."""
        last: dict[tuple[str, str], Write] = {}
        stored: dict[str, Any] = {}
        begun: Counter[tuple[str, str, str]] = Counter()
        for who, line in self.site.front.lines():
            part = (line.key, line.block)
            if who != "hand" and line.status < 300 and line.block not in {"", "refresh", "stop"}:
                begun[who, *part] += 1
                same = last.get(part)
                again = same is not None and (same.what, same.body) == (line.what, line.body)
                if again and self.platform.api == "campaigns":
                    yield "duplicate", f"{who}: {line.line()} {line.key}"
                elif stored.get(line.key) == line.stored and begun[who, *part] == 1:
                    yield "needless", f"{who}: {line.line()} {line.key}"
                last[part] = line
            elif who == "hand":
                last = {each: found for each, found in last.items() if each[0] != line.key}
            stored[line.key] = line.stored

    def converged(self, held_now: set[str], *, whole: bool) -> None:
        """Check that each object that is not held stores and dials what git asks; held may be only what has a reason."""
        for key in held_now:
            if key not in self.excused:
                self.broken("held", f"{key} is held for no reason that the story knows")
        for key, facts in self.wanted().items():
            if key in held_now and not whole:
                continue
            for which in ("stored", "active"):
                found = self._fact(key, which)
                if names := oracle.differing(found, facts):
                    self.broken("not-converged", f"{key} {which}: {', '.join(names)}")


def target(record: Mapping[str, Any]) -> str:
    """Return the key of the object that a record is about."""
    return str(record.get("target", record.get("object_key", "")))


def identity(record: Mapping[str, Any]) -> str:
    """Return what tells a record from others, in the ledger as in the ref of a stop, which numbers and chains none."""
    parts = (record.get("run"), record.get("kind"), target(record), record.get("ts"))
    return " ".join(str(each) for each in (*parts, record.get("attempt"), record.get("text")))


def intended(records: list[dict[str, Any]]) -> set[str]:
    """Return the keys of the objects with an intent that has no outcome."""
    ended = {each.get("intent") for each in records if each["kind"] == "outcome"}
    return {
        target(each)
        for each in records
        if each["kind"] == "intent" and each.get("id", "") not in ended
    }


def held(records: list[dict[str, Any]]) -> set[str]:
    """Return the keys of the objects with a hold, released or not."""
    return {target(each) for each in records if each["kind"] == "hold"}
