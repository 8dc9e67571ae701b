"""The Python face: what the command line does, as functions.

```python
from reconciler import api

found = api.plan("schedules/sandbox")            # a Plan: .operations .findings .digest
done = api.apply("schedules/sandbox", expect=found.digest, on_event=print)
rate = api.project_answer_rate(dial_rate=25.0, historical=0.31)
```

Errors are those of `reconciler.errors`, each with the exit code that the command line would end with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reconciler.commands import apply as apply_command
from reconciler.commands import halt as halt_command
from reconciler.commands import optimize as optimize_command
from reconciler.commands import plan as plan_command
from reconciler.commands import release as release_command
from reconciler.commands import validate as validate_command
from reconciler.pacing import activation_latency, project_answer_rate, step
from reconciler.plan import Plan
from reconciler.report import Report
from reconciler.world import World, here

__all__ = [
    "activation_latency",
    "apply",
    "halt",
    "optimize",
    "plan",
    "project_answer_rate",
    "release",
    "step",
    "validate",
]


def _world() -> World:
    return here(lambda _: None)


def validate(*paths: str | Path, online: bool = False, tenant: str | None = None) -> Report:
    """Check manifests; see `reconcile validate`.

    Raises:
        ManifestError: every problem of every file.
    """
    asked = validate_command.Request(tuple(map(Path, paths)), tenant=tenant, online=online)
    return asyncio.run(validate_command.validate(_world(), asked))


def plan(path: str | Path, names: Sequence[str] = (), *, tenant: str | None = None) -> Plan:
    """Return what would make the platform say what the manifests say; see `reconcile plan`."""
    return asyncio.run(
        plan_command.read(_world(), plan_command.Request(Path(path), tuple(names), tenant=tenant))
    )


def apply(
    path: str | Path,
    names: Sequence[str] = (),
    *,
    tenant: str | None = None,
    expect: str | None = None,
    on_event: Callable[[Mapping[str, Any]], None] | None = None,
) -> Report:
    """Carry out the plan; see `reconcile apply --yes`.

    Args:
        path: the tenant's folder, or one above it.
        names: manifests; none means all.
        tenant: which, where the path holds several.
        expect: digest of the plan that was approved; without it whatever derives now is carried out.
        on_event: given each telemetry event as it happens; what it raises is reported and harms nothing.
    """
    asked = apply_command.Request(
        Path(path), tuple(names), tenant=tenant, expect=expect, on_event=on_event
    )
    return asyncio.run(_apply(asked))


async def _apply(asked: apply_command.Request) -> Report:
    return await apply_command.apply(_world(), asked, lambda _: True, asyncio.Event())


def halt(
    path: str | Path, names: Sequence[str] = (), *, reason: str, everything: bool = False
) -> Report:
    """Stop dialing at once and hold it; see `reconcile halt`."""
    asked = halt_command.Request(Path(path), tuple(names), everything=everything, reason=reason)
    return asyncio.run(_halt(asked))


async def _halt(asked: halt_command.Request) -> Report:
    return await halt_command.halt(_world(), asked, asyncio.Event())


def release(
    path: str | Path, names: Sequence[str] = (), *, reason: str, everything: bool = False
) -> Report:
    """End the hold of a stop; see `reconcile release`."""
    asked = release_command.Request(Path(path), tuple(names), everything=everything, reason=reason)
    return release_command.release(_world(), asked)


def optimize(
    path: str | Path,
    names: Sequence[str] = (),
    *,
    target_answer_rate: float,
    metrics: str | Path | None = None,
    write: bool = False,
) -> Report:
    """Propose dial rates from observed answers; see `reconcile optimize`. Never applies."""
    asked = optimize_command.Request(
        Path(path),
        tuple(names),
        target_answer_rate=target_answer_rate,
        metrics=Path(metrics) if metrics else None,
        write=write,
    )
    return asyncio.run(optimize_command.optimize(_world(), asked))
