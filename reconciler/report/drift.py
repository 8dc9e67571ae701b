"""The report of drift: what was changed outside git, worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from reconciler.diff import FieldChange
from reconciler.plan import Cause, Drift, Drifted, FieldDrift, Hold, LastWrite, Origin
from reconciler.report import Report, Risk, Row, Table, Tone, count, object_row
from reconciler.report.changes import shown_names, still_dialing
from reconciler.report.fields import Said, local, said

FIELDS_SHOWN: Final = 3
"""Fields in the row of one object. If there are more, the row says how many, and its details list all."""

_TONES: Final = {
    Cause.MISSING: Tone.REMOVE,
    Cause.HELD: Tone.WARN,
    Cause.INACTIVE: Tone.WARN,
}

_SAYS: Final[Mapping[Cause, tuple[str, str]]] = {
    Cause.UNMANAGED: ("is not managed and may dial", "are not managed and may dial"),
    Cause.UNREADABLE: ("cannot be read", "cannot be read"),
    Cause.CHANGED: ("was changed", "were changed"),
    Cause.RECREATED: ("was stored again", "were stored again"),
    Cause.UNRECORDED: ("was never applied", "were never applied"),
    Cause.INACTIVE: ("is not active", "are not active"),
    Cause.MISSING: ("is missing", "are missing"),
    Cause.HELD: ("is held by a stop", "are held by a stop"),
}


def of_drift(
    found: Drift,
    origin: Origin,
    at: datetime,
    *,
    exit_code: int,
    noun: str,
    ours: str | None = None,
    notes: Sequence[str] = (),
) -> Report:
    """Return the report of a tenant's drift.

    Args:
        found: see `Drift`.
        origin: the tenant.
        at: the platform's clock when it was read.
        exit_code: exit code of the command.
        noun: what the objects are called.
        ours: the client id of this command, which the platform may name as a writer.
        notes: sentences after the table.
    """
    found = replace(found, objects=tuple(sorted(found.objects, key=_rank)))
    rows = tuple(_row(each, ours) for each in found.objects)
    columns = ("drift", "manifest", "id", "direction", "change", "stored by")
    facts = {"platform clock": f"{at:%Y-%m-%d %H:%M:%S} UTC"}
    if origin.commit:
        facts = {"commit": origin.commit, **facts}
    return Report(
        title=f"Drift of tenant {origin.tenant} ({origin.url})",
        verdict=verdict(found, noun),
        tone=Tone.BAD if found.widens else Tone.WARN if found.objects else Tone.GOOD,
        exit_code=exit_code,
        tables=(Table("Drift", columns, rows),) if rows else (),
        notes=(*_notes(found), *notes),
        facts=facts,
        data=_data(found, origin, at),
    )


def verdict(found: Drift, noun: str) -> str:
    """Return the drift in one sentence: what still dials after a stop, what may dial more than was applied, then each kind with its number.

    Objects that no manifest describes are counted once, as such: nothing was applied to them. What still dials after a stop need
    not dial more than was applied, and is counted as such only if something else widens it.
    """
    same = (
        f"{count(found.matching, 'schedule')} {'is' if found.matching == 1 else 'are'} as applied"
    )
    if not found.objects:
        if never := len(found.unapplied):
            return f"No drift is known. {same}, and {never} not recorded as applied."
        return f"No drift. {same}."
    causes = Counter(each.cause for each in found.objects)
    unmanaged = {each.key for each in found.objects if each.cause is Cause.UNMANAGED}
    dialing = [each.name for each in found.objects if each.cause is Cause.DIALING]
    widened = (each for each in found.objects if each.cause is not Cause.DIALING)
    wide = len({each.key for each in widened if each.way.widens} - unmanaged)
    nothing = [] if unmanaged or dialing else ["nothing dials more than was applied"]
    parts = [
        *([still_dialing(dialing)] if dialing else []),
        *([f"{wide} may dial more than was applied"] if wide else nothing),
        *(
            f"{count(causes[cause], noun)} {_SAYS[cause][causes[cause] > 1]}"
            for cause in _SAYS
            if causes[cause]
        ),
        *([same] if found.matching else []),
    ]
    return f"Drift: {'; '.join(parts)}"


def _notes(found: Drift) -> tuple[str, ...]:
    notes = []
    if found.unapplied:
        are = "matches its manifest" if len(found.unapplied) == 1 else "match their manifests"
        notes.append(
            f"{count(len(found.unapplied), 'schedule')} {are}, but no apply has recorded that: {shown_names(found.unapplied)}."
            " Run `reconcile apply` once. Until then a change outside git cannot be told from one in git."
        )
    if found.unsettled:
        notes.append(
            f"An earlier run did not record the outcome of its write to {shown_names(found.unsettled)}, and the schedule is as that write left it. The next apply records it."
        )
    if found.stopped:
        are = "is" if len(found.stopped) == 1 else "are"
        notes.append(
            f"{shown_names(found.stopped)} {are} silent since an emergency stop, and no hold is left: the next apply creates the schedule again."
        )
    if found.stored_otherwise:
        notes.append(
            f"The platform stores some values differently from what was sent, but not wider: {shown_names(found.stored_otherwise)}."
        )
    return tuple(notes)


def _row(each: Drifted, ours: str | None) -> Row:
    tone = Tone.BAD if each.way.widens else _TONES.get(each.cause, Tone.CHANGE)
    details = (
        *(_detail(each, one, words) for one, words in _said(each)),
        *(each.notes[1:] if each.cause in _FIRST_NOTE else each.notes),
        *_of_client(each, ours),
        *_last(each.last),
    )
    row = object_row(
        each.cause.value,
        each.name,
        each.key,
        each.way.value,
        _change(each),
        _by(each),
        tone=tone,
        details=details,
        names=(each.name,) if each.way.widens else (),
    )
    return row._replace(
        seat=(Risk.LOOSENS if each.way.widens else Risk.REST, [*Cause].index(each.cause)),
        head=f"{each.cause.value} ({each.way.value}) {each.name} ({each.key})",
        brief=row.cells[4],
    )


def _rank(each: Drifted) -> tuple[bool, int, tuple[int, float], str]:
    """Return the sort key of a row: what may dial more comes first, and among objects that a hand changed the largest change."""
    causes = [*Cause]
    causes.remove(Cause.RECREATED)  # as bad as the worst change
    cause = Cause.CHANGED if each.cause is Cause.RECREATED else each.cause
    wide = [said.order for one, said in _said(each) if one.way.widens]
    return not each.way.widens, causes.index(cause), min(wide, default=(0, 0.0)), each.key


def _said(each: Drifted) -> list[tuple[FieldDrift, Said]]:
    """Return the fields of an object in words: what widens comes first, the largest change before the others."""
    every = [
        (one, said(FieldChange(one.path, one.applied, one.live), each.applied, each.stored))
        for one in each.fields
    ]
    return sorted(every, key=lambda pair: (not pair[0].way.widens, pair[1].order))


def _change(each: Drifted) -> str:
    """Return what drifted, in one cell."""
    who = each.platform_name or each.key
    if each.cause is Cause.HELD:
        return "; ".join(f"stopped {_hold(hold, ', ')}" for hold in each.holds)
    if each.cause in _FIRST_NOTE:
        holds = (f"held by a stop of {_hold(hold, ' ')}" for hold in each.holds)
        return "; ".join([each.notes[0], *holds])
    if each.cause in _CHANGES:
        return _CHANGES[each.cause].format(who)
    if each.applied is None:
        return f"{who} has a schedule, and its manifest describes none"
    more = len(each.fields) - FIELDS_SHOWN
    shown = [words.text() for _, words in _said(each)[:FIELDS_SHOWN]]
    return "; ".join([*shown, *([f"and {count(more, 'more field')}"] if more > 0 else [])])


_FIRST_NOTE: Final = frozenset({Cause.DIALING, Cause.INACTIVE, Cause.UNREADABLE})
"""The causes whose first note says in the row what drifted."""

_CHANGES: Final[Mapping[Cause, str]] = {
    Cause.UNMANAGED: "{} may dial, and no manifest describes it",
    Cause.RECREATED: "a schedule of {} was stored, although reconcile removed it",
    Cause.MISSING: "the schedule of {} is gone",
}


def _hold(hold: Hold, between: str) -> str:
    until = _moment(hold.until) if hold.until else "it is released"
    return f"{_moment(hold.since)}{between}until {until}: {hold.reason}"


def _detail(each: Drifted, one: FieldDrift, words: Said) -> str:
    if each.applied is None:
        return f"{one.path} {local(one.live, str((each.stored or {}).get('timezone')))}"
    return f"{words.text()}, {one.way.value}: {one.fate.value}"


def _by(each: Drifted) -> str:
    if each.cause is Cause.HELD:
        return ", ".join(dict.fromkeys(hold.by or "unknown" for hold in each.holds))
    if each.by is None and each.at is None:
        return "unknown"
    return ", ".join(filter(None, [each.by or "unknown", _moment(each.at)]))


def _of_client(each: Drifted, ours: str | None) -> tuple[str, ...]:
    if ours is None or each.by != ours or each.cause in {Cause.DIALING, Cause.INACTIVE, Cause.HELD}:
        return ()
    return (
        f"the platform names the client {ours}, which this command uses itself, and no record of reconcile says so",
    )


def _last(last: LastWrite | None) -> tuple[str, ...]:
    if last is None:
        return ()
    run = f", {last.run_url}" if last.run_url else ""
    return (
        f"last written by reconcile {_moment(last.at)} from commit {last.commit[:12]}, by {last.actor or 'unknown'}{run}",
    )


def _moment(text: str | None) -> str:
    """Return an instant for people, in UTC with its weekday; a text that is no instant as it is."""
    if not text:
        return ""
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return text
    return f"{moment:%a %Y-%m-%d %H:%M} UTC"


def _data(found: Drift, origin: Origin, at: datetime) -> dict[str, Any]:
    return {
        "tenant": origin.tenant,
        "url": origin.url,
        "platform": origin.platform,
        "commit": origin.commit,
        "at": at.isoformat(),
        "widens": found.widens,
        "drift": [_serialised(each) for each in found.objects],
        "matching": found.matching,
        "unapplied": list(found.unapplied),
        "unsettled": list(found.unsettled),
        "stopped": list(found.stopped),
        "stored_otherwise": list(found.stored_otherwise),
    }


def _serialised(each: Drifted) -> dict[str, Any]:
    last = each.last
    return {
        "cause": each.cause.value,
        "direction": each.way.value,
        "widens": each.way.widens,
        "key": each.key,
        "name": each.name,
        "platform_name": each.platform_name,
        "fields": [
            {
                "path": one.path,
                "applied": one.applied,
                "live": one.live,
                "direction": one.way.value,
                "next": one.fate.name.lower(),
            }
            for one in each.fields
        ],
        "stored_by": each.by,
        "stored_at": each.at,
        "last_write": None
        if last is None
        else {"at": last.at, "commit": last.commit, "actor": last.actor, "run_url": last.run_url},
        "holds": [
            {"by": hold.by, "since": hold.since, "until": hold.until, "reason": hold.reason}
            for hold in each.holds
        ],
        "notes": list(each.notes),
        "place": str(each.place) if each.place else None,
    }
