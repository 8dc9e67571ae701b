"""The commands as Python functions.

```python
from reconciler import api

found = api.plan("schedules/sandbox")            # a Plan: .operations .findings .digest
done = api.apply("schedules/sandbox", expect=found.digest, on_event=print)
rate = api.project_answer_rate(dial_rate=25.0, historical=0.31)
```

The functions raise the errors of `reconciler.errors`. Each error has the exit code that the command line would return.
Where a function takes `network`, it says how to reach the platform: see `Network`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

from reconciler.commands import apply as apply_command
from reconciler.commands import drift as drift_command
from reconciler.commands import halt as halt_command
from reconciler.commands import optimize as optimize_command
from reconciler.commands import plan as plan_command
from reconciler.commands import release as release_command
from reconciler.commands import show as show_command
from reconciler.commands import timeline as timeline_command
from reconciler.commands import validate as validate_command
from reconciler.pacing import activation_latency, project_answer_rate, step
from reconciler.plan import Plan
from reconciler.report import Report
from reconciler.telemetry import EventSinks, OnEvent
from reconciler.world import Network, World, here

__all__ = [
    "Network",
    "activation_latency",
    "apply",
    "drift",
    "halt",
    "optimize",
    "plan",
    "project_answer_rate",
    "release",
    "show",
    "step",
    "timeline",
    "validate",
]


def _world() -> World:
    return here(lambda _: None)


def validate(
    *paths: str | Path,
    online: bool = False,
    tenant: str | None = None,
    network: Network = Network(),
) -> Report:
    """Check manifests; see `reconcile validate`.

    Raises:
        ManifestError: every problem of every file.
    """
    asked = validate_command.ValidateRequest(tuple(map(Path, paths)), tenant, online, network)
    return asyncio.run(validate_command.validate(_world(), asked))


def plan(
    path: str | Path,
    names: Sequence[str] = (),
    *,
    tenant: str | None = None,
    network: Network = Network(),
) -> Plan:
    """Return the changes needed to make the platform match the manifests; see `reconcile plan`."""
    asked = plan_command.PlanRequest(Path(path), tuple(names), tenant, network=network)
    return asyncio.run(plan_command.read(_world(), asked))


def apply(
    path: str | Path,
    names: Sequence[str] = (),
    *,
    tenant: str | None = None,
    expect: str | None = None,
    wait_for_lock_s: float | None = None,
    on_event: OnEvent | None = None,
    network: Network = Network(),
) -> Report:
    """Apply the changes; see `reconcile apply --yes`.

    Args:
        path: the tenant's folder, or a folder above it.
        names: manifests; none means all.
        tenant: the tenant's name, where the path holds several.
        expect: digest of the plan that was approved; without it the current plan is carried out.
        wait_for_lock_s: seconds to wait while another run holds the tenant's lock; see `--wait-for-lock`.
        on_event: called with each telemetry event. What it raises is reported and stops nothing.
        network: see `Network`.
    """
    asked = apply_command.ApplyRequest(
        Path(path),
        tuple(names),
        tenant=tenant,
        expect=expect,
        wait_for_lock_s=wait_for_lock_s,
        events=EventSinks(on_event=on_event),
        network=network,
    )
    return asyncio.run(apply_command.apply(_world(), asked, asyncio.Event()))


def show(
    file: str | Path,
    path: str | Path = "schedules",
    *,
    check: bool = False,
    network: Network = Network(),
) -> Report:
    """Return the report of a saved plan; see `reconcile show`. With `check`, the manifests below `path` are planned again.

    Raises:
        UsageError: the file is not a plan, or it was edited or cut.
    """
    asked = show_command.ShowRequest(Path(file), check, Path(path), network)
    return asyncio.run(show_command.show(_world(), asked))


def drift(
    path: str | Path,
    names: Sequence[str] = (),
    *,
    tenant: str | None = None,
    network: Network = Network(),
) -> Report:
    """Return what was changed outside git since it was applied; see `reconcile drift`. Read-only."""
    asked = drift_command.DriftRequest(Path(path), tuple(names), tenant, network=network)
    return asyncio.run(drift_command.drift(_world(), asked))


def halt(
    path: str | Path,
    names: Sequence[str] = (),
    *,
    reason: str,
    everything: bool = False,
    tenant: str | None = None,
    network: Network = Network(),
) -> Report:
    """Stop dialing at once and hold it; see `reconcile halt`."""
    asked = halt_command.HaltRequest(
        Path(path),
        tuple(names),
        reason=reason,
        everything=everything,
        tenant=tenant,
        network=network,
    )
    return asyncio.run(halt_command.halt(_world(), asked, asyncio.Event()))


def release(
    path: str | Path,
    names: Sequence[str] = (),
    *,
    reason: str,
    everything: bool = False,
    tenant: str | None = None,
    network: Network = Network(),
) -> Report:
    """End the hold of a halt; see `reconcile release`."""
    asked = release_command.HoldRequest(
        Path(path),
        tuple(names),
        reason=reason,
        everything=everything,
        tenant=tenant,
        network=network,
    )
    return release_command.release(_world(), asked)


def optimize(  # noqa: PLR0913 - each is an option of the command
    path: str | Path,
    names: Sequence[str] = (),
    *,
    strategy: str | None = None,
    target_answer_rate: float | None = None,
    metrics: str | Path | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    write: bool = False,
    tenant: str | None = None,
    network: Network = Network(),
) -> Report:
    """Propose better dial rates from what was observed; see `reconcile optimize`. Never applies them.

    Args:
        path: the tenant's folder, or a folder above it.
        names: manifests; none means all.
        strategy: erlang, ratio, budget, allocate or step. `None`: step with a target answer rate, else erlang for campaigns and ratio for
            skills.
        target_answer_rate: for step alone: answers per attempt to aim at, above 0 and at most 1.
        metrics: a CSV file of observations; `None`: ask the platform.
        start: first observed hour. Times without an offset are UTC.
        end: where the observations end.
        write: write the proposals into the manifests.
        tenant: the tenant's name, where the path holds several.
        network: see `Network`.

    Returns:
        The report. `data["proposals"]` holds, for each object, `changes` (`field`, `current`, `proposed`), `reason`, and what is
        predicted `before` and `after`: shares from 0 to 1 with `low`, `mean` and `high` of a 90 % interval. `data["declined"]`
        holds the other objects with the reason.

    Raises:
        ManifestError: a manifest is not valid, or no row of the CSV can be used.
        UsageError: the arguments contradict each other, or the extra `optimize` is not installed.
    """
    asked = optimize_command.OptimizeRequest(
        Path(path),
        tuple(names),
        tenant=tenant,
        strategy=strategy,
        target_answer_rate=target_answer_rate,
        metrics=Path(metrics) if metrics else None,
        start=start,
        end=end,
        write=write,
        network=network,
    )
    return asyncio.run(optimize_command.optimize(_world(), asked))


def timeline(
    path: str | Path,
    names: Sequence[str] = (),
    *,
    tenant: str | None = None,
    first: date | None = None,
    end: date | None = None,
    zone: str | None = None,
    compare: str | None = None,
) -> Report:
    """Return when the manifests let each object dial, without asking a platform; see `reconcile timeline`.

    Args:
        path: the tenant's folder, or a folder above it.
        names: manifests; none means all.
        tenant: the tenant's name, where the path holds several.
        first: the first day; without it, the Monday of the first week from today on in which anything dials.
        end: the day after the last; without it, seven days after the first.
        zone: IANA zone of the clock; without it each contact's own.
        compare: a commit, branch or tag to compare with.

    Returns:
        The report; `data` holds the intervals in UTC.
    """
    asked = timeline_command.TimelineRequest(
        Path(path), tuple(names), tenant, first, end, zone, compare
    )
    return timeline_command.timeline(_world(), asked)
