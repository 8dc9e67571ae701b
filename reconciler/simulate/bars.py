"""What many runs say together: means with intervals, and the bars that the strategies must clear."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import sqrt
from statistics import fmean, stdev
from typing import Final, NamedTuple, TypeAlias

from scipy.special import stdtrit

from reconciler.simulate.policies import CAP
from reconciler.simulate.runs import Run

LAWFUL_SHARE: Final = 0.95
"""Least share of the runs whose abandonment is at most the cap."""

NEAR_ORACLE: Final = 0.92
"""Least contacts of `erlang` relative to those of the oracle, as a mean over the scenarios."""

NEVER_FAR: Final = 0.90
"""The same in a single scenario. A campaign that names no wrap-up is paced by its rate alone: that aims at 2 % abandoned, at a cautious
answer rate, where the oracle dials to 3 % at the true one."""

SHARED_GAIN: Final = 1.10
"""Least contacts of `allocate`, relative to those of equal shares."""


MARGIN: Final = 0.001
"""Difference of abandonment that does not count as more: one in a thousand live persons, a thirtieth of the cap."""


class Mean(NamedTuple):
    """A mean over seeds, and its 95 % interval by Student's t; of one seed, there is no interval."""

    value: float
    low: float | None
    high: float | None


class Bar(NamedTuple):
    """One thing that must hold.

    Attributes:
        name: what is measured.
        goal: what it must be.
        reached: what it is, with the worst scenario where there are several.
        holds: whether it holds; `None` if no scenario of this run tells.
    """

    name: str
    goal: str
    reached: str
    holds: bool | None


def mean(values: Sequence[float]) -> Mean:
    """Return the mean of independent values with its interval."""
    center = fmean(values)
    if len(values) == 1:
        return Mean(center, None, None)
    width = float(stdtrit(len(values) - 1, 0.975)) * stdev(values) / sqrt(len(values))
    return Mean(center, center - width, center + width)


Grouped: TypeAlias = Mapping[str, Mapping[str, Sequence[Run]]]
"""Runs by scenario and policy, sorted by seed."""


def grouped(runs: Iterable[Run]) -> Grouped:
    """Group runs, in the order in which their scenarios and policies first appear."""
    found: dict[str, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        found[run.scenario][run.policy].append(run)
    return {
        scenario: {name: sorted(own, key=lambda run: run.seed) for name, own in policies.items()}
        for scenario, policies in found.items()
    }


def bars(runs: Grouped) -> list[Bar]:
    """Return every bar, judged over the scenarios that were run."""
    return [_lawful(runs), _near_oracle(runs), _not_worse(runs), _in_hours(runs), _shared(runs)]


def _lawful(runs: Grouped) -> Bar:
    every = [run for policies in runs.values() for run in policies.get("erlang", ())]
    lawful = sum(run.abandonment <= CAP for run in every)
    return Bar(
        "erlang: runs with lawful abandonment",
        f"at most {100 * CAP:g} % abandoned in {100 * LAWFUL_SHARE:g} % of the runs",
        f"{lawful} of {len(every)}",
        lawful >= LAWFUL_SHARE * len(every) if every else None,
    )


def _near_oracle(runs: Grouped) -> Bar:
    ratios = relative_contacts(runs, "erlang", "oracle")
    worst = min(ratios, key=lambda name: ratios[name], default="")
    mean = fmean(ratios.values()) if ratios else 0.0
    return Bar(
        "erlang: contacts relative to the oracle",
        f"at least {NEAR_ORACLE:.2f}, and {NEVER_FAR:.2f} in every scenario",
        f"{mean:.3f}, lowest {ratios[worst]:.3f} ({worst})" if ratios else "",
        mean >= NEAR_ORACLE and ratios[worst] >= NEVER_FAR if ratios else None,
    )


def _not_worse(runs: Grouped) -> Bar:
    both = {
        scenario: (policies["erlang"], policies["progressive"])
        for scenario, policies in runs.items()
        if "erlang" in policies and "progressive" in policies
    }
    worse = [
        scenario
        for scenario, (own, other) in both.items()
        if _contacts(own) < _contacts(other) and _abandonment(own) > _abandonment(other) + MARGIN
    ]
    return Bar(
        "erlang: against 1:1 progressive dialing",
        f"in no scenario both fewer contacts and abandonment more than {100 * MARGIN:g} % higher",
        f"worse in {', '.join(worse)}" if worse else f"in none of {len(both)}",
        not worse if both else None,
    )


def _in_hours(runs: Grouped) -> Bar:
    every = [run for policies in runs.values() for own in policies.values() for run in own]
    minutes = sum(run.minutes_outside for run in every)
    return Bar(
        "all policies: dialing outside the calling window",
        "0 minutes",
        f"{minutes} minutes in {len(every)} runs",
        minutes == 0,
    )


def _shared(runs: Grouped) -> Bar:
    ratios = relative_contacts(runs, "allocate", "equal-shares")
    lowest = min(ratios.values(), default=0.0)
    return Bar(
        "allocate: contacts relative to equal shares",
        f"at least {SHARED_GAIN:.2f} where capacity binds",
        f"{lowest:.3f}" if ratios else "",
        lowest >= SHARED_GAIN if ratios else None,
    )


def relative_contacts(runs: Grouped, policy: str, other: str) -> dict[str, float]:
    """Return the contacts of a policy relative to those of another, for each scenario that has both."""
    return {
        scenario: _contacts(policies[policy]) / _contacts(policies[other])
        for scenario, policies in runs.items()
        if policy in policies and other in policies
    }


def _contacts(runs: Sequence[Run]) -> float:
    return fmean(run.contacts_per_agent_hour for run in runs)


def _abandonment(runs: Sequence[Run]) -> float:
    return fmean(run.abandonment for run in runs)


MEASURES: Final[Mapping[str, Callable[[Run], float]]] = {
    "contacts_per_agent_hour": lambda run: run.contacts_per_agent_hour,
    "utilisation": lambda run: run.utilisation,
    "abandonment": lambda run: run.abandonment,
    "minutes_outside": lambda run: run.minutes_outside,
}
"""What is compared, by name."""
