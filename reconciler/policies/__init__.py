"""Policies: one rule for each module, registered here. `check_all` applies the tenant's levels and waivers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC

from reconciler.models import Waiver
from reconciler.policies import (
    calling_windows,
    dnc_flag,
    dnc_list,
    ended,
    fixed_fields,
    identity,
    running,
    tenant_limits,
    vanished,
)
from reconciler.policies.base import Facts, Finding, Level, Policy

POLICIES: Mapping[str, Policy] = {
    policy.ID: policy
    for policy in (
        calling_windows,
        dnc_flag,
        dnc_list,
        ended,
        fixed_fields,
        identity,
        running,
        tenant_limits,
        vanished,
    )
}

RULES_VERSION = "2"
"""Version of the rules and their data tables; part of every plan's digest."""

OFF = "off"
_ORDER = {Level.ERROR: 0, Level.WARNING: 1, Level.INFO: 2}


def check_all(
    facts: Facts, levels: Mapping[str, str], waivers: Iterable[Waiver] = ()
) -> tuple[Finding, ...]:
    """Return every finding of every policy, errors first, then by object.

    Args:
        facts: see `Facts`.
        levels: the tenant's level for a rule id: `error`, `warning`, `info` or `off`. It replaces the rule's own level, and its milder
            findings get at most this level. A finding that stops its object keeps its level, because it may be about the wrong object.
        waivers: a waived finding becomes an `info` that says until when it is waived and why.
    """
    today = facts.now.astimezone(UTC).date()
    waivers = tuple(waivers)
    standing = [waiver for waiver in waivers if waiver.until >= today]
    found = list(_unknown({*levels, *(waiver.rule for waiver in waivers)}))
    for rule, policy in POLICIES.items():
        for finding in policy.check(facts):
            judged = _judged(finding, policy.LEVEL, levels.get(rule), standing)
            if judged is not None:
                found.append(judged)
    return tuple(
        sorted(
            found,
            key=lambda finding: (
                _ORDER[finding.level],
                finding.name,
                finding.rule,
                finding.message,
            ),
        )
    )


def _unknown(named: Iterable[str]) -> Iterator[Finding]:
    """Yield a finding for each unknown rule that a tenant names, because a misspelled rule would have no effect."""
    for rule in sorted(set(named) - set(POLICIES)):
        message = f"tenant.yaml names the rule {rule!r}, which does not exist. The rules are {', '.join(sorted(POLICIES))}"
        yield Finding("unknown-rule", Level.ERROR, message)


def _judged(
    finding: Finding, own: Level, level: str | None, waivers: Iterable[Waiver]
) -> Finding | None:
    if finding.stops:
        return finding
    if level == OFF:
        return None
    for waiver in waivers:
        if waiver.rule == finding.rule and waiver.name in {None, finding.name}:
            return finding._replace(
                level=Level.INFO,
                message=f"{finding.message} (waived until {waiver.until}: {waiver.reason})",
            )
    if level is None:
        return finding
    wanted = Level(level)
    return finding._replace(
        level=wanted
        if finding.level is own
        else max(finding.level, wanted, key=_ORDER.__getitem__),
    )
