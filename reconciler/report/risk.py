"""The order in which every format lists the changes of a plan: what a reviewer must see first comes first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from reconciler.effect import Direction, Effect
from reconciler.plan import Action, Operation
from reconciler.report import Risk
from reconciler.report.fields import MARKED_FROM, Said, in_order, said


class Weighed(NamedTuple):
    """An operation with its place in the report.

    Attributes:
        operation: the operation.
        said: its changed fields in words, decisive ones first.
        risk: its class.
        step: its class within the risk class, 0 first: `_loosening` and `_tightening` name them.
        size: how much it changes, larger first.
        reach: calls per hour that it allows, which decides where sizes are equal.
    """

    operation: Operation
    said: tuple[Said, ...]
    risk: Risk
    step: int = 0
    size: float = 1.0
    reach: float = 0.0

    @property
    def order(self) -> tuple[int, int, float, float]:
        """Sort key of the report."""
        return self.risk, self.step, -self.size, -self.reach


def in_risk_order(operations: Iterable[Operation]) -> list[Weighed]:
    """Return the operations in the order of every report. The steps of one object stay together and in their order."""
    every = [weighed(operation) for operation in operations]
    worst: dict[str, tuple[float, ...]] = {}
    for each in every:
        key = each.operation.key
        worst[key] = min(worst.get(key, each.order), each.order)
    rank = {key: number for number, key in enumerate(sorted(worst, key=worst.__getitem__))}
    return sorted(every, key=lambda each: rank[each.operation.key])


def weighed(operation: Operation) -> Weighed:
    """Return an operation with its place in the report."""
    live, desired = operation.live, operation.desired
    fields = tuple(in_order(said(change, live, desired) for change in operation.fields))
    risk = _risk(operation)
    if risk in {Risk.BLOCKED, Risk.LOOSENS}:
        step, size = _loosening(operation, fields)
        step = 0 if risk is Risk.BLOCKED and operation.dialing else step
    elif risk is Risk.TIGHTENS:
        step, size = _tightening(operation.effect, fields)
    else:
        step, size = 0, 1.0
    return Weighed(operation, fields, risk, step, size, _reach(operation.effect))


def _risk(operation: Operation) -> Risk:
    if operation.dialing or operation.refused:
        return Risk.BLOCKED
    if operation.action is Action.HELD:
        return Risk.REST
    if operation.verdict.widens:
        return Risk.LOOSENS
    if operation.action in {Action.RETIRE, Action.HALT}:
        return Risk.RETIRES
    return Risk.TIGHTENS if operation.verdict is Direction.TIGHTEN else Risk.REST


def _loosening(operation: Operation, fields: Sequence[Said]) -> tuple[int, float]:
    """Return the class and the factor of a loosening.

    In this order: a safeguard lost; an unknown effect; an object that dials newly calls a zone, or at night; an object newly
    dials; a factor that is marked; an unusual time; a field of unknown meaning that is dropped; the rest.

    An unknown effect has the same classes again, first of all a managed field that cannot be read. A dropped
    field comes late: a platform may add one to every object, and then the real dangers must still come first.
    """
    effect = operation.effect
    factor = _factor(effect, fields)
    if bool(effect and effect.lost) or any(each.is_off for each in fields):
        return 0, factor
    opens = any(each.opens for each in fields)
    if factor == math.inf or opens:
        step = 0
    elif factor >= MARKED_FROM:
        step = 1
    elif any(each.unusual for each in fields):
        step = 2
    else:
        step = 3 if operation.dropped else 4
    if effect is not None and (effect.zones is None or effect.unknown):
        unreadable = any(name in (operation.desired or {}) for name in effect.unknown)
        return _UNKNOWN + (0 if unreadable else step), math.inf if opens else factor
    if operation.live is None:
        return _NEWLY_DIALS, factor
    return (_NEWLY_DIALS + step if step else _NEWLY_DIALS - 1), factor


_UNKNOWN: Final = 1
_NEWLY_DIALS: Final = 7
"""Classes of loosenings: the first of an unknown effect; an object newly dials."""


def _factor(effect: Effect | None, fields: Sequence[Said]) -> float:
    """Return the largest factor: of dialable minutes times rate, or of a number."""
    factors = [each.factor for each in fields]
    if effect is not None:
        factors += [
            effect.factor,
            *(_widened(each.factor) for each in effect.limits if each.loosens),
        ]
    return max(factors, default=1.0)


def _widened(factor: float | None) -> float:
    """Return the factor by which a limit lets more through, whether it was raised or lowered."""
    return max(factor, 1 / factor) if factor else math.inf


def _tightening(effect: Effect | None, fields: Sequence[Said]) -> tuple[int, float]:
    """Return the class of a tightening, and the factor by which it divides what may be dialed.

    In this order: a zone is no longer called; an unusual time; the rest.
    """
    factors = [each.factor for each in fields]
    if effect is not None and effect.zones:
        factors += [
            zone.total_after / zone.total_before for zone in effect.zones if zone.total_before
        ]
    least = min(factors, default=1.0)
    if least <= 0 or any(each.is_lost_window for each in fields):
        return 0, math.inf
    return (1 if any(each.unusual for each in fields) else 2), 1 / least


def _reach(effect: Effect | None) -> float:
    return (effect.calls_per_hour.after or 0.0) if effect and effect.calls_per_hour else 0.0
