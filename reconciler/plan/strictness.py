"""Rule levels, waivers and limits for a change: the stricter of the base commit's `tenant.yaml` and HEAD's.

*Base* is the commit that was applied before HEAD. What HEAD makes stricter counts at once. What HEAD weakens counts from the
next change on, so that no change can weaken a rule and break it at the same time.

The same holds for a manifest's protection: the id of its object, and the name that the platform must have for it (`protections`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

from reconciler.errors import Place
from reconciler.models import MANIFESTS, Claim, Desired, Limits, Tenant, TenantSpec, Waiver
from reconciler.policies import OFF, POLICIES
from reconciler.policies.base import Level

_STRICTEST_FIRST: Final = (*(level.value for level in Level), OFF)
_SHARES: Final = ("changed_share", "retired_share", "loosened_share")


@dataclass(frozen=True, slots=True)
class Weakening:
    """One setting of `tenant.yaml`, or one protection of a manifest, that HEAD weakens.

    Attributes:
        setting: name of the setting.
        counts: its value for this change, for people.
        asked: its value from the next change on, for people.
        loc: keys and indices that lead to the setting in the file.
        place: position in the file, when it is known.
        factor: of a number: its new value divided by that at the base.
    """

    setting: str
    counts: str
    asked: str
    loc: tuple[str | int, ...]
    place: Place | None = None
    factor: float | None = field(default=None, compare=False)

    def serialised(self) -> dict[str, Any]:
        """Return the weakening as JSON values."""
        place = str(self.place) if self.place else None
        return {"setting": self.setting, "counts": self.counts, "asked": self.asked, "place": place}


@dataclass(frozen=True, slots=True)
class Strictness:
    """Rule levels, waivers and limits that count for a change, and how HEAD differs from the base.

    Attributes:
        levels: level by rule id, as `check_all` takes them.
        waivers: waivers that count.
        limits: limits on the day of the change.
        weakenings: settings that HEAD weakens, which do not count yet.
        names: name that the platform must have for an object, by key, where HEAD's manifest no longer gives one.
        repointed: id that a manifest named at the base, by the id that it names now.
        moved: whether HEAD's settings differ from the base's, or nothing was ever applied.
        recorded: whether the ledger has an apply of HEAD. Only an apply makes HEAD the base of the next change.
        changed: files of manifests that changed since the base; all files where the base cannot be read.
        claimed: keys of the objects that the manifests in these files named at the base.
        shared: whether profiles that manifests share changed since the base.
        notes: sentences for people: other changes of settings, and why the base could not be read.
    """

    levels: Mapping[str, str] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()
    limits: Limits = field(default_factory=Limits)
    weakenings: tuple[Weakening, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    repointed: Mapping[str, str] = field(default_factory=dict)
    moved: bool = False
    recorded: bool = False
    changed: frozenset[str] = field(default=frozenset(), compare=False)
    claimed: frozenset[str] = field(default=frozenset(), compare=False)
    shared: bool = field(default=False, compare=False)
    notes: tuple[str, ...] = ()

    @property
    def pending(self) -> bool:
        """Whether HEAD must be applied to become the base of the next change, even with nothing else to do."""
        return self.moved and not self.recorded


def stricter(
    base: TenantSpec, head: TenantSpec, day: date, counting: TenantSpec | None = None
) -> Strictness:
    """Return what counts for a change from `base` to `head`: at least as strict as both.

    Args:
        base: settings at the commit that was applied before.
        head: settings now.
        day: the platform's day, UTC, because waivers and raised limits have a last day.
        counting: settings whose request rate, signing, signers and mirror count in this run; `head` when absent.
    """
    lower = tuple(_lower_levels(base, head))
    waivers, wider = _waivers(base, head, day)
    higher = tuple(_higher_limits(base, head, day))
    was, now = base.limits.on(day), head.limits.on(day)
    return Strictness(
        levels={**head.policies, **{str(each.loc[-1]): each.counts for each in lower}},
        waivers=waivers,
        limits=now.model_copy(
            update={share: min(getattr(was, share), getattr(now, share)) for share in _SHARES}
        ),
        weakenings=(*lower, *wider, *higher, *_of_records(base, head, counting or head)),
    )


def without_exceptions(head: TenantSpec) -> TenantSpec:
    """Return the base to use when the real one cannot be read: default levels and limits, and no waivers."""
    return head.model_copy(update={"policies": {}, "waivers": (), "limits": Limits()})


def _of_records(base: TenantSpec, head: TenantSpec, counting: TenantSpec) -> Iterator[Weakening]:
    """Yield the weakened settings that are needed to read the records. HEAD's parent decides which values count."""
    counts, after = counting.requests_per_second, head.requests_per_second
    if after > (before := min(base.requests_per_second, counts)):
        said = f"requests_per_second (was {before:g})"
        yield Weakening(
            said,
            f"{counts:g}",
            f"{after:g}",
            ("spec", "requests_per_second"),
            factor=after / before,
        )
    for name in ("sign", "mirror"):
        now, was = getattr(counting.audit, name), getattr(base.audit, name)
        if (was or now) and not getattr(head.audit, name):
            said = "on" if now else "off"
            yield Weakening(f"audit.{name} (was on)", said, "off", ("spec", "audit", name))
    began = counting.audit.began
    if began is not None and head.audit.began != began:
        asked = head.audit.began or "none"
        yield Weakening(f"audit.began (was {began})", began, asked, ("spec", "audit", "began"))
    signing = [each.audit.signers for each in (base, counting) if each.audit.sign]
    for index, signer in enumerate(head.audit.signers):
        if any(signer not in signers for signers in signing):
            said = "trusted" if signer in counting.audit.signers else "not trusted"
            loc = ("spec", "audit", "signers", index)
            yield Weakening(f"audit.signers: {signer}", said, "trusted", loc)


def other_changes(base: Tenant, head: Tenant) -> tuple[str, ...]:
    """Return a sentence about each other change of a setting that people should see."""
    was, now = base.spec, head.spec
    found = [("owner", base.metadata.owner or "nobody", head.metadata.owner or "nobody")]
    if now.requests_per_second < was.requests_per_second:
        found.append(
            ("requests_per_second", f"{was.requests_per_second:g}", f"{now.requests_per_second:g}")
        )
    found.append(("audit.began", was.audit.began or "none", now.audit.began or "none"))
    found += [
        (f"audit.{name}", "off", "on")
        for name in ("sign", "mirror")
        if getattr(now.audit, name) and not getattr(was.audit, name)
    ]
    found += [
        ("audit.signers", each, "no signer any more")
        for each in was.audit.signers
        if each not in now.audit.signers
    ]
    return tuple(
        f"tenant.yaml changes {name}: {before} → {after}"
        for name, before, after in found
        if before != after
    )


def changes_strictness(base: Tenant, head: Tenant) -> bool:
    """Return whether the next change would be judged by other settings after `head` than after `base`."""
    if base.metadata.owner != head.metadata.owner:
        return True
    names = ("policies", "waivers", "limits", "audit", "requests_per_second")
    return any(getattr(base.spec, name) != getattr(head.spec, name) for name in names)


@dataclass(frozen=True, slots=True)
class Protections:
    """Weakened protections of manifests; for the attributes see `Strictness`."""

    weakenings: tuple[Weakening, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    repointed: Mapping[str, str] = field(default_factory=dict)


def protections(base: Sequence[Claim], head: Sequence[Desired]) -> Protections:
    """Return the protections that HEAD's manifests weaken.

    Args:
        base: claims at the base of the manifests that changed or vanished since.
        head: every manifest of HEAD.
    """
    if not base:  # the usual case; there may be thousands of manifests
        return Protections()
    now = {each.key: each for each in head}
    repointed = _repointed(base, head)
    weakenings = [
        Weakening(
            f"{now[key].name} was {was}, is now {key}",
            "only by the name that the platform has",
            key,
            (),
            now[key].place,
        )
        for key, was in repointed.items()
    ]
    names: dict[str, str] = {}
    for was in base:
        same = now.get(was.key)
        if same is None or was.platform_name in {None, same.platform_name}:
            continue
        field_ = MANIFESTS[same.kind].named_by
        if same.platform_name is None:
            names[was.key] = str(was.platform_name)
            said = (f"{field_} of {same.name}", f'"{was.platform_name}"', "not checked")
        else:
            counts = f'"{same.platform_name}" instead of "{was.platform_name}"'
            said = (f"{field_} of {same.name}", counts, "the same")
        weakenings.append(Weakening(*said, (), same.place))
    return Protections(tuple(weakenings), names, repointed)


def _repointed(base: Sequence[Claim], head: Sequence[Desired]) -> dict[str, str]:
    """Return the former id by the new id, for each manifest that now names another object.

    A manifest is recognised by its name. If its name changed too, by its file: provided that no manifest claims the old id
    any more, and none claimed the new id before.
    """
    keys, names = {each.key for each in head}, {each.name: each for each in head}
    known = {each.key for each in base}
    files = {was.place.file for was in base if was.key not in keys}
    new = {
        each.place.file: each for each in head if each.place.file in files and each.key not in known
    }
    found: dict[str, str] = {}
    for was in base:
        now = names.get(was.name)
        if now is None and was.key not in keys:
            now = new.get(was.place.file)
        if now is not None and now.key != was.key:
            found[now.key] = was.key
    return found


def _lower_levels(base: TenantSpec, head: TenantSpec) -> Iterator[Weakening]:
    for rule, policy in POLICIES.items():
        own = policy.LEVEL.value
        was, now = base.policies.get(rule, own), head.policies.get(rule, own)
        if _STRICTEST_FIRST.index(now) > _STRICTEST_FIRST.index(was):
            yield Weakening(f"policies.{rule}", was, now, ("spec", "policies", rule))


def _waivers(
    base: TenantSpec, head: TenantSpec, day: date
) -> tuple[tuple[Waiver, ...], tuple[Weakening, ...]]:
    """Return the waivers that count, and a weakening for each waiver of HEAD that allows more than the base.

    A waiver counts as far as both base and HEAD have it. A waiver of HEAD for a rule that was off or unknown at the base
    counts as it is written.
    """
    kept: list[Waiver] = []
    wider: list[Weakening] = []
    for index, asked in enumerate(head.waivers):
        shared = [_both(was, asked) for was in base.waivers if _overlap(was, asked)]
        # A rule that was off needs no waiver. A waiver of an unknown rule is kept, so that `check_all` reports it.
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
    """Yield each share that HEAD raises on this day, or keeps raised after the base's last day."""
    was, now = base.limits.on(day), head.limits.on(day)
    # On the last day that there is, nothing can hold longer.
    ended = base.limits.until or date.max
    rest = ended if ended == date.max else ended + timedelta(days=1)
    due, afterwards = base.limits.on(rest), head.limits.on(rest)
    for share in _SHARES:
        before, after = getattr(was, share), getattr(now, share)
        if after > before:
            loc = ("spec", "limits", share)
            factor = after / before if before else None
            yield Weakening(f"limits.{share}", f"{before:g}", f"{after:g}", loc, factor=factor)
        elif getattr(afterwards, share) > getattr(due, share):
            said = (f"{before:g} until {ended}", f"{after:g} until {head.limits.until}")
            yield Weakening(f"limits.{share}", *said, ("spec", "limits", "until"))
