"""Reports of `validate`: findings, weakened settings, and problems of files. Nothing here imports the planner at run time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from reconciler.errors import Problem
from reconciler.policies.base import Finding, Level
from reconciler.report import Report, Risk, Row, Table, Tone, count
from reconciler.report.fields import marks_of, shortened

if TYPE_CHECKING:  # `validate` of one file would pay for the whole planner
    from reconciler.plan import Strictness, Weakening

LEVEL_TONES = {Level.ERROR: Tone.BAD, Level.WARNING: Tone.WARN, Level.INFO: Tone.DIM}


def findings_table(findings: Iterable[Finding]) -> Table:
    """Return the findings, in the order given."""
    rows = tuple(
        Row(
            (finding.level.value, finding.rule, finding.name, finding.message),
            LEVEL_TONES[finding.level],
            place=finding.place,
            names=(finding.name or finding.rule,) if finding.level is Level.ERROR else (),
            status=finding.level.value,
            name=finding.name,
            key=finding.key,
            rule=finding.rule,
            message=finding.message,
        )
        for finding in findings
    )
    return Table("Findings", ("level", "rule", "manifest", "message"), rows)


def weakened_table(weakenings: Iterable[Weakening]) -> Table:
    """Return the settings that a change weakens. They count from the next change on."""
    rows = tuple(
        Row(
            (each.setting, each.counts, _marked(each)),
            Tone.WARN,
            place=each.place,
            names=(each.setting,),
            name=each.setting,
            seat=(Risk.WEAKENED, 0),
            head=f"weakened {shortened(each.setting, 100)}",
            brief=f"counts now {shortened(each.counts, 60)} → from the next change on {_marked(each)}",
        )
        for each in weakenings
    )
    return Table("Weakened rules", ("setting", "counts now", "from the next change on"), rows)


def _marked(weakening: Weakening) -> str:
    """Return the value from the next change on; a factor of a number is marked."""
    marks = marks_of(weakening.factor) if weakening.factor else ()
    return f"{weakening.asked} ({marks[0]})" if marks else weakening.asked


def of_validation(
    files: int,
    manifests: int,
    findings: Sequence[Finding],
    *,
    exit_code: int,
    strictness: Sequence[Strictness] = (),
) -> Report:
    """Return the report of valid manifests: their findings, and the settings that they weaken."""
    weakenings = [each for one in strictness for each in one.weakenings]
    levels = Counter(finding.level for finding in findings)
    found = [
        count(levels[level], word)
        for level, word in (
            (Level.ERROR, "error"),
            (Level.WARNING, "warning"),
            (Level.INFO, "note"),
        )
        if levels[level]
    ]
    worst = min(findings, key=lambda finding: list(Level).index(finding.level), default=None)
    return Report(
        title="Validate",
        verdict=f"{count(manifests, 'manifest')} in {count(files, 'file')}: {', '.join(found) or 'no findings'}",
        tone=Tone.GOOD if worst is None else LEVEL_TONES[worst.level],
        exit_code=exit_code,
        tables=tuple(
            table for table in (weakened_table(weakenings), findings_table(findings)) if table.rows
        ),
        notes=tuple(note for one in strictness for note in one.notes),
        data={
            "manifests": manifests,
            "files": files,
            "findings": [finding.serialised() for finding in findings],
            "weakenings": [each.serialised() for each in weakenings],
        },
    )


def of_problems(problems: Sequence[Problem], *, exit_code: int) -> Report:
    """Return the report of invalid files, for a page or a log that shows no stderr."""
    rows = tuple(
        Row(
            ("error", problem.message),
            Tone.BAD,
            place=problem.place,
            names=(str(problem.place),),
            status="error",
            message=problem.message,
        )
        for problem in problems
    )
    return Report(
        title="Validate",
        verdict=f"{count(len(problems), 'problem')}: nothing was planned or applied",
        tone=Tone.BAD,
        exit_code=exit_code,
        tables=(Table("Problems", ("level", "message"), rows),),
        data={
            "problems": [
                {"place": str(problem.place), "message": problem.message} for problem in problems
            ]
        },
    )
