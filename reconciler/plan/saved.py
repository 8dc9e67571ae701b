"""A plan in a file: what `plan --out` writes, and reading it back whole.

The file holds the plan as `plan --format json` prints it, what else the report of the plan is made of (`shown`), and `content`,
the SHA-256 of all the rest. Two things protect it, and they are worth different things:

- `digest` names what would run. An apply runs nothing else, whatever the file says, because it plans again.
- `content` shows that the file was cut or edited by accident. Anybody who edits it on purpose can compute it again.

Only a new plan proves what is outside the digest: names, directions, findings, notes, and what is held.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from reconciler import diff
from reconciler.plan.approval import serialised
from reconciler.plan.strictness import Strictness
from reconciler.plan.values import Action, Operation, Plan, canonical_json, sha256_of, state_hash

_CONTENT: Final = "content"
_SHOWN: Final = "shown"


@dataclass(frozen=True, slots=True)
class Remarks:
    """What the report of a plan says beside the plan itself.

    Attributes:
        exit_code: of the command that planned.
        notes: sentences after the tables.
        refusals: (exit code, sentence) of each reason for which apply would refuse the plan as a whole.
        accepted: sentences about a rewritten history that is accepted.
        differing: paths in which the folder differed from HEAD.
    """

    exit_code: int = 0
    notes: tuple[str, ...] = ()
    refusals: tuple[tuple[int, str], ...] = ()
    accepted: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A plan that was read from a file.

    Attributes:
        plan: the plan. Limits, levels and waivers are not saved, because their effect is.
        remarks: see `Remarks`.
        content: the hash of the file's content.
    """

    plan: Plan
    remarks: Remarks
    content: str


@cache
def _plans() -> TypeAdapter[Plan]:
    """Return what converts plans to JSON and back. It is made when it is needed: making it costs more than a small plan."""
    return TypeAdapter(Plan)


@cache
def _remarks() -> TypeAdapter[Remarks]:
    return TypeAdapter(Remarks)


def saved(plan: Plan, remarks: Remarks = Remarks()) -> dict[str, Any]:
    """Return a plan as JSON values, for a file. The order of keys is that of the plan, in which reports show fields."""
    by = plan.strictness
    shown = Strictness(
        weakenings=by.weakenings, moved=by.moved, recorded=by.recorded, notes=by.notes
    )
    data = {
        **_public(plan, remarks),
        _SHOWN: {
            "plan": _plans().dump_python(replace(plan, strictness=shown), mode="json"),
            "remarks": _remarks().dump_python(remarks, mode="json"),
        },
    }
    return {**data, _CONTENT: sha256_of(data)}


def _public(plan: Plan, remarks: Remarks) -> dict[str, Any]:
    """Return the part of a saved plan that other programs read."""
    refusals = [{"exit_code": code, "message": message} for code, message in remarks.refusals]
    return {**serialised(plan), "refusals": refusals}


def require_whole(data: object) -> Mapping[str, Any]:
    """Return the content of a saved plan, if its `content` hash matches.

    Raises:
        ValueError: it is not a saved plan, or it was edited or cut.
    """
    if not isinstance(data, dict) or "operations" not in data:
        raise ValueError("it is not a plan, or only a part of one")
    if _CONTENT not in data:
        raise ValueError("it has no content hash: it was edited, or an older version wrote it")
    rest = {name: value for name, value in data.items() if name != _CONTENT}
    if data[_CONTENT] != sha256_of(rest):
        raise ValueError("its content hash does not match, so it was edited or cut")
    return data


def read_saved(data: Mapping[str, Any]) -> SavedPlan:
    """Read a saved plan whole. Call `require_whole` and `approval_from` before: they check the hashes.

    Raises:
        ValueError: what it shows is not what its digest and its operations say.
    """
    shown = data.get(_SHOWN)
    try:
        parts = shown if isinstance(shown, dict) else {}
        plan = _plans().validate_json(json.dumps(parts.get("plan")))
        remarks = _remarks().validate_json(json.dumps(parts.get("remarks")))
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise ValueError(f"what it shows cannot be read ({where}), so it was edited") from None
    known = {name: value for name, value in data.items() if name not in {_CONTENT, _SHOWN}}
    if canonical_json(_public(plan, remarks)) != canonical_json(known):
        raise ValueError("what it shows differs from its operations, so it was edited")
    for operation in plan.operations:
        _require_shown(operation)
    return SavedPlan(plan, remarks, str(data[_CONTENT]))


def _require_shown(operation: Operation) -> None:
    """Check that an operation shows the live schedule and the changes that its hash is made of.

    Raises:
        ValueError: it shows others.
    """
    states = (state_hash(operation.live, dials) for dials in ("stored", "another", "nothing"))
    if operation.live_hash not in states:
        raise ValueError(f"the live schedule of {operation.key} was edited: its hash differs")
    if operation.action is Action.UPDATE and operation.fields != diff.explain(
        operation.live, operation.desired
    ):
        raise ValueError(f"the changes of {operation.key} were edited: they are others")
