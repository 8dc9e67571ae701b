"""What judges a change: the stricter of what the base commit's `tenant.yaml` says and what HEAD's says (DESIGN §3).

*Base* is the commit that was applied before this one. Whatever HEAD tightens counts at once; whatever it weakens counts from
the next change on, so that nobody can lower a bar and pass under it in one change. What counts is never laxer than either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from reconciler.errors import Place
from reconciler.models import Limits, TenantSpec, Waiver
from reconciler.policies import OFF, POLICIES
from reconciler.policies.base import Level

_STRICTEST_FIRST: Final = (*(level.value for level in Level), OFF)
_SHARES: Final = ("changed_share", "retired_share", "loosened_share")


@dataclass(frozen=True, slots=True)
class Weakening:
    """One setting of `tenant.yaml` that HEAD makes laxer than it was.

    Attributes:
        setting: its name there.
        counts: what counts for this change, for people.
        asked: what counts from the next change on, for people.
        loc: the keys and indices that lead to it.
        place: where it stands, when places were kept.
    """

    setting: str
    counts: str
    asked: str
    loc: tuple[str | int, ...]
    place: Place | None = None

    def serialised(self) -> dict[str, Any]:
        """Return it as JSON values."""
        place = str(self.place) if self.place else None
        return {"setting": self.setting, "counts": self.counts, "asked": self.asked, "place": place}


@dataclass(frozen=True, slots=True)
class Judge:
    """What judges a change.

    Attributes:
        levels: level by rule id, as `check_all` takes them.
        waivers: what is waived.
        limits: as they are on the day of the change.
        weakenings: what HEAD weakens, and what therefore does not count yet.
        recorded: whether the ledger holds an apply of HEAD already; if not, only one makes the weakenings count.
        note: why the base's own word could not be had, for people; empty when it could.
    """

    levels: Mapping[str, str] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()
    limits: Limits = field(default_factory=Limits)
    weakenings: tuple[Weakening, ...] = ()
    recorded: bool = False
    note: str = ""

    @property
    def pending(self) -> bool:
        """Whether an apply of HEAD is wanted although it may have nothing else to do."""
        return bool(self.weakenings) and not self.recorded


def stricter(base: TenantSpec, head: TenantSpec, day: date) -> Judge:
    """Return what judges a change from `base` to `head`: never laxer than either, and `head` itself when it weakens nothing.

    Args:
        base: what `tenant.yaml` said at the commit that was applied before.
        head: what it says now.
        day: the platform's, UTC: waivers and raised limits have a last day.
    """
    lower = tuple(_lower_levels(base, head))
    waivers, wider = _waivers(base, head, day)
    higher = tuple(_higher_limits(base, head, day))
    was, now = base.limits.on(day), head.limits.on(day)
    return Judge(
        levels={**head.policies, **{str(each.loc[-1]): each.counts for each in lower}},
        waivers=waivers,
        limits=now.model_copy(
            update={share: min(getattr(was, share), getattr(now, share)) for share in _SHARES}
        ),
        weakenings=(*lower, *wider, *higher),
    )


def without_exceptions(head: TenantSpec) -> TenantSpec:
    """Return the base that counts where the real one cannot be read: the rules' own levels, nothing waived, the default limits."""
    return head.model_copy(update={"policies": {}, "waivers": (), "limits": Limits()})


def _lower_levels(base: TenantSpec, head: TenantSpec) -> Iterator[Weakening]:
    for rule, policy in POLICIES.items():
        own = policy.LEVEL.value
        was, now = base.policies.get(rule, own), head.policies.get(rule, own)
        if _STRICTEST_FIRST.index(now) > _STRICTEST_FIRST.index(was):
            yield Weakening(f"policies.{rule}", was, now, ("spec", "policies", rule))


def _waivers(
    base: TenantSpec, head: TenantSpec, day: date
) -> tuple[tuple[Waiver, ...], tuple[Weakening, ...]]:
    """Return what both waive, and which of HEAD's waivers reach further than that."""
    kept: list[Waiver] = []
    wider: list[Weakening] = []
    for index, asked in enumerate(head.waivers):
        shared = [_both(was, asked) for was in base.waivers if _overlap(was, asked)]
        # What was off needs no waiver, and one for no rule waives nothing: `check_all` refuses it, and must see it.
        free = asked.rule not in POLICIES or base.policies.get(asked.rule) == OFF
        if free or asked in shared:
            kept.append(asked)
            continue
        kept += shared
        if asked.until >= day:
            counts = "; ".join(_said(each) for each in shared if each.until >= day) or "not waived"
            loc = ("spec", "waivers", index)
            wider.append(Weakening(f"waivers: {asked.rule}", counts, _said(asked), loc))
    return tuple(kept), tuple(wider)


def _overlap(was: Waiver, asked: Waiver) -> bool:
    return was.rule == asked.rule and (
        was.name is None or asked.name is None or was.name == asked.name
    )


def _both(was: Waiver, asked: Waiver) -> Waiver:
    return asked.model_copy(
        update={"name": asked.name or was.name, "until": min(was.until, asked.until)}
    )


def _said(waiver: Waiver) -> str:
    return f"waived for {waiver.name or 'every manifest'} until {waiver.until}"


def _higher_limits(base: TenantSpec, head: TenantSpec, day: date) -> Iterator[Weakening]:
    was, now = base.limits.on(day), head.limits.on(day)
    for share in _SHARES:
        before, after = getattr(was, share), getattr(now, share)
        if after > before:
            loc = ("spec", "limits", share)
            yield Weakening(f"limits.{share}", f"{before:g}", f"{after:g}", loc)
