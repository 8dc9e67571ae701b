"""The report of `simulate`: the bars, and the measures of each policy in each scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from reconciler.errors import ExitCode
from reconciler.report import Report, Row, Table, Tone, count
from reconciler.simulate.bars import MEASURES, Bar, Grouped, Mean, mean, relative_contacts
from reconciler.simulate.policies import CAP
from reconciler.simulate.runs import Run
from reconciler.simulate.scenarios import SCENARIOS

FORMAT_VERSION = 1


def of_simulation(runs: Grouped, bars: Sequence[Bar], seeds: int) -> Report:
    """Return the report: the bars first, then all scenarios together, then a table for each scenario."""
    missed = [bar for bar in bars if bar.holds is False]
    together = (_overview(runs),) if len(runs) > 1 else ()
    return Report(
        title=f"Simulation of {count(len(runs), 'scenario')} with {count(seeds, 'seed')}",
        verdict=_verdict(bars, missed),
        tone=Tone.BAD if missed else Tone.GOOD,
        exit_code=ExitCode.ERROR if missed else ExitCode.DONE,
        tables=(_bars(bars), *together, *(_scenario(name, each) for name, each in runs.items())),
        notes=(
            "± is half of the 95 % interval of a mean over seeds. Every policy meets the same attempts: seeds are common random numbers.",
            "`reconcile explain scenarios` describes the scenarios. The policies are described in .github/docs/simulate.md.",
        ),
        data={
            "format_version": FORMAT_VERSION,
            "seeds": seeds,
            "bars": [bar._asdict() for bar in bars],
            "scenarios": [_data(name, each) for name, each in runs.items()],
        },
    )


def _verdict(bars: Sequence[Bar], missed: Sequence[Bar]) -> str:
    judged = [bar for bar in bars if bar.holds is not None]
    if missed:
        return f"{len(missed)} of {count(len(judged), 'bar')} missed: {'; '.join(bar.name for bar in missed)}"
    return f"{'All ' if len(judged) > 1 else ''}{count(len(judged), 'bar')} {'hold' if len(judged) > 1 else 'holds'}."


_STATUS: Mapping[bool | None, tuple[str, Tone]] = {
    True: ("holds", Tone.GOOD),
    False: ("missed", Tone.BAD),
    None: ("not judged", Tone.DIM),
}


def _bars(bars: Sequence[Bar]) -> Table:
    rows = []
    for bar in bars:
        status, tone = _STATUS[bar.holds]
        cells = (status, bar.name, bar.goal, bar.reached)
        rows.append(Row(cells, tone, status=status, name=bar.name))
    return Table("Bars", ("", "bar", "goal", "reached"), tuple(rows))


def _overview(runs: Grouped) -> Table:
    """Return a row for each policy over all of its scenarios, each scenario with equal weight."""
    columns = (
        "policy",
        "scenarios",
        "contacts ÷ oracle",
        "utilisation",
        "abandonment",
        "highest",
        "runs above the cap",
        "minutes outside",
    )
    names = dict.fromkeys(policy for policies in runs.values() for policy in policies)
    return Table("All scenarios", columns, tuple(_together(runs, name) for name in names))


def _together(runs: Grouped, policy: str) -> Row:
    own = [policies[policy] for policies in runs.values() if policy in policies]
    every = [run for each in own for run in each]
    relative = relative_contacts(runs, policy, "oracle").values()
    means = [_means(each) for each in own]
    abandonment = [each["abandonment"].value for each in means]
    minutes = sum(run.minutes_outside for run in every)
    cells = (
        policy,
        str(len(own)),
        f"{fmean(relative):.2f}" if relative else "-",
        f"{100 * fmean(each['utilisation'].value for each in means):.1f} %",
        f"{100 * fmean(abandonment):.2f} %",
        f"{100 * max(abandonment):.2f} %",
        f"{sum(run.abandonment > CAP for run in every)} of {len(every)}",
        str(minutes),
    )
    return Row(cells, Tone.WARN if minutes else Tone.PLAIN, name=policy)


def _scenario(name: str, policies: Mapping[str, Sequence[Run]]) -> Table:
    columns = (
        "policy",
        "contacts per agent hour",
        "utilisation",
        "abandonment",
        "runs above the cap",
        "minutes outside",
    )
    rows = tuple(_row(policy, own) for policy, own in policies.items())
    return Table(f"{name}: {SCENARIOS[name].about}", columns, rows)


def _row(policy: str, runs: Sequence[Run]) -> Row:
    contacts, utilisation, abandonment, _ = _means(runs).values()
    above = sum(run.abandonment > CAP for run in runs)
    minutes = sum(run.minutes_outside for run in runs)
    cells = (
        policy,
        _text(contacts, 2),
        _text(utilisation, 1, percent=True),
        _text(abandonment, 2, percent=True),
        f"{above} of {len(runs)}",
        str(minutes),
    )
    return Row(cells, Tone.WARN if minutes else Tone.PLAIN, name=policy)


def _means(runs: Sequence[Run]) -> dict[str, Mean]:
    return {name: mean([measure(run) for run in runs]) for name, measure in MEASURES.items()}


def _text(found: Mean, digits: int, *, percent: bool = False) -> str:
    """Return a mean with half of its interval."""
    factor, unit = (100, " %") if percent else (1, "")
    text = f"{factor * found.value:.{digits}f}"
    if found.high is not None:
        text += f" ± {factor * (found.high - found.value):.{digits}f}"
    return text + unit


def _data(name: str, policies: Mapping[str, Sequence[Run]]) -> dict[str, Any]:
    return {
        "name": name,
        "about": SCENARIOS[name].about,
        "policies": [
            {
                "name": policy,
                **{key: _rounded(found) for key, found in _means(runs).items()},
                "runs": [
                    {"seed": run.seed, **{key: round(of(run), 6) for key, of in MEASURES.items()}}
                    for run in runs
                ],
            }
            for policy, runs in policies.items()
        ],
    }


def _rounded(found: Mean) -> dict[str, float | None]:
    """Return a mean without digits in which two machines may differ."""
    return {
        name: None if value is None else round(value, 6) for name, value in found._asdict().items()
    }
