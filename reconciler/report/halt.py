"""Reports of `halt` and `release`, and the exit code of a halt."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from reconciler import audit
from reconciler.audit import Record
from reconciler.errors import ExitCode
from reconciler.plan import Outcome
from reconciler.report import NAMES_SHOWN, Report, Row, Table, Tone, count, object_row

HELD = "silent and held"
NOT_HELD = "silent, not yet held"
DIALING = "still dialing"

UNVERIFIED = "unverified"
"""Status of an object that could not be read since its stop was accepted or refused."""

_UNREAD = "the platform's list shows it as silent, but it could not be read by itself"

ROWS_SHOWN = 40
"""Maximum number of rows for silent objects. If there are more, they share one row (JSON lists all)."""

NAMES_IN_COMMAND = 8
"""Most names in a command that is shown to be copied."""

_COLUMNS = ("result", "manifest", "id")


class Stopped(NamedTuple):
    """One object of a halt.

    Attributes:
        key, name: the object.
        outcome: of the write that stopped it; `None` when it was silent before.
        seen: whether the object could be read since its stop was accepted or refused, or since the platform's list showed it as silent.
        needless: whether the stop was refused, and the object did not dial.
    """

    key: str
    name: str
    outcome: Outcome | None
    seen: bool = True
    needless: bool = False

    @property
    def silent(self) -> bool:
        """Whether it does not dial."""
        return self.needless or (self.seen if self.outcome is None else self.outcome.done)


def exit_code(
    outcomes: Collection[Outcome], *, unread: bool, troubled: bool, away: bool
) -> ExitCode:
    """Return the exit code of a halt. What still dials counts most, then a failed record, then an unavailable git remote.

    Args:
        outcomes: of every object that had to be stopped.
        unread: whether an object could not be read that only the platform's list shows as silent.
        troubled: whether something could not be recorded, or needs attention.
        away: whether the git remote was unavailable.
    """
    codes = [ExitCode(outcome.code) for outcome in outcomes if not outcome.done]
    codes += [ExitCode.NOT_FINISHED] if unread else []
    if not codes:
        if troubled:
            return ExitCode.PARTLY
        return ExitCode.UNAVAILABLE if away else ExitCode.DONE
    code = max(codes)
    wrote = any(outcome.wrote for outcome in outcomes)
    return ExitCode.PARTLY if wrote and code is not ExitCode.NOT_FINISHED else code


def of_halt(
    title: str,
    objects: Sequence[Stopped],
    *,
    code: int,
    unheld: str,
    unknown: Sequence[str],
    notes: Sequence[str],
    facts: Mapping[str, str],
) -> Report:
    """Return the report of a halt, with what still dials first.

    Args:
        title: title of the report.
        objects: all targets of the halt.
        code: exit code.
        unheld: what to run because an apply may not know of the holds; empty if every apply does.
        unknown: names from the command line that match no object.
        notes: sentences for people.
        facts: names and values.
    """
    held = not unheld
    rows = [_row(each, held=held) for each in objects]
    loud = [row for row in rows if row.tone is Tone.BAD]
    quiet = [row for row in rows if row.tone is not Tone.BAD]
    if loud:
        advice = "Some objects are still dialing or unverified: run the same command again, or stop them on the platform itself."
        notes = (advice, *notes)
    refused = [each for each in objects if each.needless]
    if refused:
        notes = (*notes, _refusal(refused))
    kept = HELD if held else f"{NOT_HELD}: run {unheld}"
    return Report(
        title=title,
        verdict=_verdict(rows, loud, kept=kept, refused=len(refused), unknown=unknown),
        tone=Tone.BAD if loud or unknown else Tone.WARN if code else Tone.GOOD,
        exit_code=code,
        tables=(Table("Stopped", _COLUMNS, (*loud, *_shortened(quiet, held=held))),),
        notes=notes,
        facts=facts,
        data={"exit_code": code, "objects": [_serialised(each) for each in objects]},
    )


def _refusal(refused: Sequence[Stopped]) -> str:
    """Return a note on the stops that were refused and not needed, with the first reason."""
    names = ", ".join(each.name for each in refused[:NAMES_SHOWN])
    more = f" and {len(refused) - NAMES_SHOWN} more" if len(refused) > NAMES_SHOWN else ""
    first = refused[0].outcome
    return f"The stop was refused, and was not needed, because nothing dials: {names}{more}. {first.message if first else ''}"


def _verdict(
    rows: Sequence[Row], loud: Sequence[Row], *, kept: str, refused: int, unknown: Sequence[str]
) -> str:
    """Return a halt in one sentence. Refusals and unknown names are mentioned, so that the sentence does not sound complete."""
    unverified = sum(row.status == UNVERIFIED for row in loud)
    dial = len(loud) - unverified
    parts = (
        f"{len(rows) - len(loud)} of {count(len(rows), 'object')} {kept}",
        f"{dial} {DIALING}" if dial else "",
        f"{unverified} {UNVERIFIED}" if unverified else "",
        f"{count(refused, 'needless stop')} refused" if refused else "",
        f"{count(len(unknown), 'name')} unknown: {', '.join(unknown)}" if unknown else "",
    )
    return ", ".join(filter(None, parts))


def _shortened(quiet: Sequence[Row], *, held: bool) -> Sequence[Row]:
    if len(quiet) <= ROWS_SHOWN:
        return quiet
    names = ", ".join(row.name for row in quiet[:NAMES_SHOWN])
    more = f"{names} and {len(quiet) - NAMES_SHOWN} more"
    return [
        object_row(
            HELD if held else NOT_HELD, f"{len(quiet)} objects", "", tone=Tone.GOOD, details=(more,)
        )
    ]


def _row(each: Stopped, *, held: bool) -> Row:
    kept = HELD if held else NOT_HELD
    if each.silent:
        was = (
            "its stop was refused, and it did not dial"
            if each.needless
            else "it was silent before",
        )
        ended = each.outcome is not None and not each.needless
        tone, details = (Tone.GOOD, ()) if ended else (Tone.DIM, was)
        return object_row(kept, each.name, each.key, tone=tone, details=details)
    status = DIALING if each.seen else UNVERIFIED
    details = (each.outcome.message if each.outcome else _UNREAD,)
    return object_row(status, each.name, each.key, tone=Tone.BAD, details=details)


def _serialised(each: Stopped) -> dict[str, object]:
    return {
        "key": each.key,
        "name": each.name,
        "silent": each.silent,
        "result": each.outcome.result.value if each.outcome else None,
        "message": each.outcome.message if each.outcome else "" if each.seen else _UNREAD,
    }


def how_to_release(path: str, names: Sequence[str], until: datetime | None, *, shared: bool) -> str:
    """Return a sentence on how to release the held objects, with a command to copy.

    With many names the command is for the first one only: `--all` would also release the holds of other stops.

    Args:
        path: the tenant's folder.
        names: of the held objects; none if everything is held. A name on the platform may hold any character.
        until: when the holds end by themselves.
        shared: whether every apply knows of the holds.
    """
    quoted = [shlex.quote(name) for name in names] or ["--all"]
    shown = quoted if len(quoted) <= NAMES_IN_COMMAND else quoted[:1]
    command = f"reconcile release {shlex.quote(path)} {' '.join(shown)} --reason TEXT"
    rest = (
        ""
        if shown == quoted
        else " (then the other names; --all releases every hold of the tenant)"
    )
    ends = f"The hold ends on {until.astimezone(UTC):%Y-%m-%d at %H:%M UTC}. " if until else ""
    before = f"Release {'it' if names else 'everything'}{' before' if until else ''}"
    starts = "No apply" if shared else "Once the records are shared, no apply"
    what = (
        "a held object again" if names else "anything of this tenant, not even what is added later"
    )
    rest = rest or ("" if names else " (or name objects: the others stay held)")
    return f"{starts} starts {what}. {ends}{before}: {command}{rest}"


# --- release ------------------------------------------------------------------------------------------------------------


def name_of(hold: Record) -> str:
    """Return the name of a held object; its key if the record has no name, as a record by another writer may."""
    return str(hold.data.get("name") or hold.data["target"])


def reason_of(hold: Record) -> str:
    """Return the reason of a hold, as far as it is recorded."""
    return str(hold.data.get("reason") or "no reason recorded")


class Released(NamedTuple):
    """One object whose holds were released.

    Attributes:
        key, name: the object; `audit.EVERYTHING` for what a stop of everything held besides.
        holds: the holds, oldest first.
    """

    key: str
    name: str
    holds: Sequence[Record]


def rest_note(path: str) -> str:
    """Return a note for a release that leaves a stop of everything in force; `path`: the tenant's folder."""
    command = f"reconcile release {shlex.quote(path)} --all --reason TEXT"
    return f"a halt of everything still holds what was not released: {command}"


def of_release(
    tenant: str,
    ended: Sequence[Released],
    reason: str,
    *,
    path: str,
    named: Collection[str],
    missing: Mapping[str, str],
) -> Report:
    """Return the report of a release.

    Args:
        tenant: name of the tenant.
        ended: what was released.
        reason: why they were released.
        path: the tenant's folder.
        named: keys of the objects that a manifest names. An apply plans nothing for any other object.
        missing: names of the objects without a hold whose schedule is missing and may be created again, by key.
    """
    again = "its schedule is missing on the platform, and the next apply creates it again"
    rows = (
        *(_released(each, path, named) for each in ended),
        *(
            object_row("released", name, key, tone=Tone.GOOD, details=(again,))
            for key, name in missing.items()
        ),
    )
    every = [hold for each in ended for hold in each.holds]
    objects = [each for each in ended if each.key != audit.EVERYTHING]
    left = sum(each.key not in named for each in objects)
    on = f" on {count(len(objects), 'object')}" if 0 < len(objects) < len(every) else ""
    then = f"the next apply plans {'it' if objects else 'everything'} again"
    if left:
        then = f"the next apply plans only objects with a manifest, and there is none for {left} of {count(len(objects), 'object')}"
    return Report(
        title=f"Release of tenant {tenant}",
        verdict=f"{count(len(every), 'hold')}{on} released; this starts no dialing: {then}"
        if every
        else f"{count(len(missing), 'missing schedule')} released; this starts no dialing: the next apply plans it again"
        if missing
        else "nothing was held",
        tone=Tone.GOOD,
        exit_code=ExitCode.DONE,
        tables=(Table("Released", _COLUMNS, rows),) if rows else (),
        facts={"reason": reason},
        data=[
            *(hold.fields() for hold in every),
            *({"target": key, "name": name} for key, name in missing.items()),
        ],
    )


def _released(each: Released, path: str, named: Collection[str]) -> Row:
    """Return the row of one object. If no manifest names the object, the row shows the command that prints the removed schedule."""
    key, name, holds = each
    details = [
        f"held since {hold.event.ts} by {hold.data.get('actor')}: {reason_of(hold)}"
        for hold in holds
    ]
    if key not in named and key != audit.EVERYTHING:
        details.append("no readable manifest names this object, so no apply restores its schedule")
        if any(hold.data.get("body") for hold in holds):
            details[-1] += (
                f". The removed schedule is recorded: reconcile audit show {shlex.quote(key)} {shlex.quote(path)}"
            )
    return object_row("released", name, key, tone=Tone.GOOD, details=tuple(details))
