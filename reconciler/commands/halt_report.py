"""What an emergency stop is about, and how it is told: no command, no IO."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from reconciler import report as reports
from reconciler.audit import Record
from reconciler.dialects.base import Dialect, Live
from reconciler.effect import Direction
from reconciler.errors import ExitCode, Place, UsageError
from reconciler.manifests import Folder
from reconciler.plan import Action, Operation, Outcome, live_hash
from reconciler.report import Report, Row, Table, Tone, count, object_row

UNVERIFIED = "unverified"
"""What was stopped unseen, and could not be looked at since."""

ROWS_SHOWN = 40
"""Objects that get a line of their own; beyond that the silent ones share one (json has them all)."""


NAMES_IN_COMMAND = 8
"""Names that a command which is shown to be copied holds at most."""


@dataclass(frozen=True, slots=True)
class Target:
    """One object to be stopped and held.

    Attributes:
        kind, key: the object.
        name: the manifest's name, else the platform's, else its key.
        live: what the platform holds; `None` when it could not be asked.
    """

    kind: str
    key: str
    name: str
    live: Live | None

    def dials(self, dialect: Dialect) -> bool:
        """Return whether it has to be stopped: what nobody could ask about does."""
        return self.live is None or not dialect.KINDS[self.kind].is_silent(self.live)

    def operation(self, dialect: Dialect, place: Place) -> Operation:
        """Return the write that stops it."""
        kind, live = dialect.KINDS[self.kind], self.live or Live(self.key, "")
        stored = None if live.stored is None else kind.canonical(live.stored)
        return Operation(
            kind=self.kind,
            key=self.key,
            name=self.name,
            platform_name=live.name,
            action=Action.HALT,
            desired=kind.silenced(stored),
            live=stored,
            live_hash=live_hash(live, kind),
            fields=(),
            direction=Direction.TIGHTEN,
            place=place,
            audit=kind.audit_fields(stored) if stored else {},
        )


@dataclass(frozen=True, slots=True)
class Known:
    """Everything that a stop could be asked for by a name.

    Attributes:
        folder: the manifests that could be read.
        dialect: the tenant's.
        recorded: keys by the names that the ledger has for them: a name may have moved from one object to another.
        live: what the platform holds, by key; `None` when it could not be asked. An object that is named and cannot be
            read is there without a value; one that is named and not there does not exist.
        complete: the platform's list was complete.
    """

    folder: Folder
    dialect: Dialect
    recorded: Mapping[str, Collection[str]]
    live: Mapping[str, Live | None] | None
    complete: bool = True

    @property
    def keys(self) -> set[str]:
        """Every object that a manifest or a record names."""
        return {each.key for each in self.folder.desired}.union(*self.recorded.values())

    def unlisted(self, names: Iterable[str], keys: Iterable[str]) -> list[str]:
        """Return what is asked for and not listed: each must be read by itself, for a list may lag or be incomplete.

        Args:
            names: as given; none means everything.
            keys: objects that are asked for besides.
        """
        asked = {key for name in names for key in self._meant(name) or {name}} or self._wanted()
        return sorted(asked.union(keys) - (self.live or {}).keys())

    def _wanted(self) -> set[str]:
        """Return what may dial without being listed: what manifests could make dial; all that is known where the list is incomplete."""
        wanted = {each.key for each in self.folder.desired if not each.retired}
        return wanted if self.complete else self.keys

    def named(self, names: Iterable[str]) -> tuple[tuple[Target, ...], tuple[str, ...]]:
        """Return what the names mean (a manifest's, a record's, the platform's id), and those that mean nothing."""
        found: dict[str, Target] = {}
        unknown = []
        for name in names:
            keys = self._meant(name)
            found |= {key: self._target(key) for key in sorted(keys)}
            if not keys:
                unknown.append(name)
        return tuple(found.values()), tuple(unknown)

    def _meant(self, name: str) -> set[str]:
        """Return every object that a name can mean: in an emergency nobody is asked which."""
        keys = {each.key for each in self.folder.desired if each.name == name}
        claimed = {each.key for each in self.folder.desired}
        recorded = set(self.recorded.get(name, ()))
        keys |= recorded - claimed
        keys = keys or recorded
        if name in self.live if self.live is not None else not keys:
            keys.add(name)
        return keys

    def everything(self) -> tuple[Target, ...]:
        """Return what dials, whoever stored it, and what a manifest could make dial; all that anybody knows of where nobody can tell what dials."""
        if self.live is None:
            return tuple(map(self._target, sorted(self.keys)))
        kind = next(iter(self.dialect.KINDS.values()))
        dialing = {
            key for key, each in self.live.items() if each is None or not kind.is_silent(each)
        }
        return tuple(self._target(key) for key in sorted(dialing | self._wanted()))

    def _target(self, key: str) -> Target:
        manifest = next((each for each in self.folder.desired if each.key == key), None)
        live = None if self.live is None else self.live.get(key, Live(key, ""))
        name = manifest.name if manifest else live.name if live and live.name else key
        kind = manifest.kind if manifest else next(iter(self.dialect.KINDS))
        return Target(kind, key, name, live)


def exit_code(outcomes: Collection[Outcome], *, troubled: bool, away: bool) -> int:
    """Return DESIGN §7's code: what still dials counts before what could not be recorded, and that before a git remote that is away."""
    failed = [outcome for outcome in outcomes if not outcome.done]
    if not failed:
        if troubled:
            return ExitCode.PARTLY
        return ExitCode.UNAVAILABLE if away else ExitCode.DONE
    code = max(outcome.code for outcome in failed)
    return (
        ExitCode.PARTLY
        if code != ExitCode.NOT_FINISHED and any(each.wrote for each in outcomes)
        else code
    )


def report(
    title: str,
    targets: Sequence[Target],
    ended: Mapping[str, Outcome],
    *,
    code: int,
    held: bool,
    notes: Sequence[str],
    facts: Mapping[str, str],
) -> Report:
    """Return the report of a stop: what still dials first.

    Args:
        title: what was asked.
        targets: what was to be stopped.
        ended: by key, of what dialed.
        code: exit code.
        held: whether the holds are recorded.
        notes: sentences for people.
        facts: names and values.
    """
    rows = [_row(target, ended.get(target.key)) for target in targets]
    loud = [row for row in rows if row.tone is Tone.BAD]
    quiet = [row for row in rows if row.tone is not Tone.BAD]
    if len(quiet) > ROWS_SHOWN:
        names = ", ".join(row.name for row in quiet[: reports.NAMES_SHOWN])
        more = f"{names} and {len(quiet) - reports.NAMES_SHOWN} more"
        quiet = [Row(("silent", f"{len(quiet)} objects", ""), Tone.GOOD, (more,))]
    kept = "silent and held" if held else "silent, and nothing is held"
    verdict = f"{len(targets) - len(loud)} of {count(len(targets), 'object')} {kept}"
    if loud:
        unverified = sum(row.status == UNVERIFIED for row in loud)
        dial = len(loud) - unverified
        verdict += f", {dial} still {'dials' if dial == 1 else 'dial'}" if dial else ""
        verdict += f", {unverified} {UNVERIFIED}" if unverified else ""
        notes = (
            "what still dials or is unverified: run the same command again, or stop it on the platform itself",
            *notes,
        )
    return Report(
        title=title,
        verdict=verdict,
        tone=Tone.BAD if loud else Tone.WARN if code else Tone.GOOD,
        exit_code=code,
        tables=(Table("Stopped", ("result", "manifest", "id"), (*loud, *quiet)),),
        notes=notes,
        facts=facts,
        data={
            "exit_code": code,
            "objects": [_serialised(target, ended.get(target.key)) for target in targets],
        },
    )


def with_unknown(report: Report, names: Sequence[str]) -> Report:
    """Return the report of a stop that was asked for by names that nobody knows, too: its last line must not sound complete."""
    if not names:
        return report
    said = f"{count(len(names), 'name')} unknown: {', '.join(names)}"
    return report._replace(verdict=f"{report.verdict}, {said}", tone=Tone.BAD)


def _row(target: Target, outcome: Outcome | None) -> Row:
    if outcome is None:
        return object_row("was silent", target.name, target.key, tone=Tone.DIM)
    if outcome.done:
        return object_row("silent", target.name, target.key, tone=Tone.GOOD)
    status = UNVERIFIED if target.live is None else "still dials"
    details = (outcome.message,)
    return object_row(status, target.name, target.key, tone=Tone.BAD, details=details)


def _serialised(target: Target, outcome: Outcome | None) -> dict[str, object]:
    return {
        "key": target.key,
        "name": target.name,
        "silent": outcome is None or outcome.done,
        "result": None if outcome is None else outcome.result.value,
        "message": "" if outcome is None else outcome.message,
    }


def name_of(hold: Record) -> str:
    """Return what people call what is held; its key where the record says no name, for whoever can push can write one."""
    return str(hold.data.get("name") or hold.data["target"])


def reason_of(hold: Record) -> str:
    """Return why something is held, as far as the record says."""
    return str(hold.data.get("reason") or "no reason recorded")


def require_reason(reason: str) -> None:
    """Refuse a reason that says nothing.

    Raises:
        UsageError: it is empty.
    """
    if not reason.strip():
        raise UsageError("--reason says nothing: say why, for whoever reads the records and plans")


def how_it_ends(path: Path, targets: Sequence[Target], until: datetime | None) -> str:
    """Return how what is held may dial again, as a command to be copied; `path` is the tenant's folder.

    Many names would be too long a line, and `--all` would end the holds of other stops, too: then the command is for the first.
    """
    # A name on the platform may hold anything.
    names = [shlex.quote(target.name) for target in targets]
    shown = names if len(names) <= NAMES_IN_COMMAND else names[:1]
    command = f"reconcile release {shlex.quote(str(path))} {' '.join(shown)} --reason TEXT"
    rest = "" if shown == names else " (likewise the others, or --all for every hold of the tenant)"
    by_itself = f" on {until.astimezone(UTC):%Y-%m-%d at %H:%M UTC}, or" if until else ""
    return f"no apply starts them again; that ends{by_itself} by: {command}{rest}"


def released(
    tenant: str,
    ended: Sequence[Sequence[Record]],
    reason: str,
    *,
    path: Path,
    named: Collection[str],
) -> Report:
    """Return the report of a release.

    Args:
        tenant: whose.
        ended: the holds that stood, those of one object together.
        reason: why they were ended.
        path: the tenant's folder.
        named: keys of the objects that a manifest names; of no other one an apply plans anything.
    """
    rows = tuple(
        object_row(
            "released",
            name_of(holds[-1]),
            str(holds[-1].data["target"]),
            tone=Tone.GOOD,
            details=(
                *(
                    f"held since {hold.event.ts} by {hold.data.get('actor')}: {reason_of(hold)}"
                    for hold in holds
                ),
                *([_left(holds, path)] if holds[-1].data["target"] not in named else ()),
            ),
        )
        for holds in ended
    )
    every = [hold for holds in ended for hold in holds]
    left = sum(holds[-1].data["target"] not in named for holds in ended)
    on = f" on {count(len(ended), 'object')}" if len(every) > len(ended) else ""
    then = "the next apply plans it again"
    if left:
        then = f"the next apply plans again what a manifest names, which {left} of {count(len(ended), 'object')} {'is' if left == 1 else 'are'} not"
    return Report(
        title=f"Release of tenant {tenant}",
        verdict=f"{count(len(every), 'hold')}{on} ended; this starts no dialing: {then}"
        if every
        else "nothing was held",
        tone=Tone.GOOD,
        exit_code=ExitCode.DONE,
        tables=(Table("Released", ("result", "manifest", "id"), rows),) if rows else (),
        facts={"reason": reason},
        data=[hold.fields() for hold in every],
    )


def _left(holds: Sequence[Record], path: Path) -> str:
    """Return what becomes of an object that no manifest names: nothing, and where it stands what was taken from it."""
    said = "no manifest that can be read names it, so no apply brings it back"
    if not any(hold.data.get("body") for hold in holds):
        return said
    key = shlex.quote(str(holds[-1].data["target"]))
    return f"{said}; what was stored stands in: reconcile audit show {key} {shlex.quote(str(path))}"
