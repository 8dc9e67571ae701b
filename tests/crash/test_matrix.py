"""`kill -9` of a real apply, at every point, under every fault, on every server: nothing lost, nothing twice, nothing unmeant, nothing wider.

`pytest -m long -n 2 -rP tests/crash` runs the whole matrix and prints its figures; a cut of it runs always, in which each point and
each fault occurs.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from typing import NamedTuple

import pytest

from reconciler.audit import RecordKind
from reconciler.ledger import TTL_S
from reconciler.workflows.applying import CHECKPOINTS
from tests.crash.bench import KILLED, Bench
from tests.crash.ground import Campaigns

SELDOM = {"lock:beating", "lock:beaten", "ledger:refused", "release:refused"}
"""Points that a short run alone does not pass: the ledger's own tests crash there."""

POINTS = ("platform:asked", "platform:did", *(each for each in CHECKPOINTS if each not in SELDOM))

OFTEN = tuple(
    each
    for each in POINTS
    if each.partition(":")[0] in {"platform", "write", "refresh", "verify", "outcome"}
    and each not in {"write:uncertain", "write:settled"}
)
"""Points that each operation passes on its way: two in the first group, two more in the second."""

NEEDS = {
    "write:uncertain": "late commit",
    "write:settled": "reset after",
    "retry:before": "500 kept under the key",
    "retry:recorded": "500 kept under the key",
}
"""Points that are passed under some faults alone, with one of them."""


class Case(NamedTuple):
    """One crash: where, the which time, under what; `number` turns what else may vary."""

    number: int
    server: str
    fault: str
    point: str

    @property
    def nth(self) -> int:
        return 1 + self.number % 4 if self.point in OFTEN else 1

    def faults(self, ground: type[Campaigns]) -> tuple[str, ...]:
        """Return the faults: the server's, and the case's on one of the three writes."""
        kept = self.fault in {"500 kept under the key", "500 kept though executed", "late commit"}
        places = (
            (ground.STORE, ground.REMOVE) if kept else (ground.STORE, ground.REMOVE, ground.REFRESH)
        )
        spec = ground.FAULTS[self.fault].format(where=places[self.number % len(places)])
        skip = self.number // 2 % 2 if places[self.number % len(places)] != ground.REMOVE else 0
        return (*ground.SERVERS[self.server], f"{spec},skip={skip}")


@dataclass
class Figures:
    """What is counted; all but the first three must be 0."""

    cases: int = 0
    killed: int = 0
    struck: int = 0
    lost: int = 0
    duplicates: int = 0
    without_intent: int = 0
    wider: int = 0
    not_converged: int = 0

    def add(self, other: Figures) -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    @property
    def bad(self) -> int:
        return self.lost + self.duplicates + self.without_intent + self.wider + self.not_converged

    def __str__(self) -> str:
        return ", ".join(
            f"{getattr(self, each.name)} {each.name.replace('_', ' ')}" for each in fields(self)
        )


def crash(bench: Bench, case: Case, ground: type[Campaigns]) -> Figures:
    """Play one case and return its figures."""
    bench.prepare(ground(), *case.faults(ground))
    faults = bench.ground.world.faults
    bench.kill = (case.point, case.nth) if case.point.startswith("platform") else ("", 0)
    code = bench.apply(point=case.point, nth=case.nth)
    bench.kill = ("", 0)
    known = {each.id for each in bench.ledger().records()}
    if case.number % 2:
        bench.clone = bench.other_clone()
    if case.number // 2 % 2:
        bench.pass_by(TTL_S + 60)
    else:
        bench.release_lock()
    after = [bench.apply()]
    if after[-1]:
        after.append(bench.apply())
    figures = judged(bench, known)
    figures.killed = int(code == KILLED)
    figures.struck = int(faults._all[-1].fired > 0)
    figures.not_converged |= int(after[-1] != 0)
    return figures


def judged(bench: Bench, known: set[str]) -> Figures:
    """Hold the platform's journal and the remote's ledger against each other. `known`: ids of the records that had been acknowledged."""
    ground, ledger = bench.ground, bench.ledger()
    verdict, records = ledger.verify(), ledger.records()
    happened = ground.happened()
    wrote = Counter(
        (each.key, each.what) for each in happened if each.what in {"stored", "removed"}
    )
    told = {
        each.data["target"]
        for each in records
        if each.kind is RecordKind.OUTCOME and each.data["action"] != "SCHEDULE_UNCHANGED"
    }
    unlike = [
        each for each in happened if each.rate not in {ground.OLD[each.key], ground.NEW[each.key]}
    ]
    return Figures(
        cases=1,
        lost=len(known - {each.id for each in records})
        + len({key for key, _ in wrote} - told)
        + len(verdict.defects),
        duplicates=sum(times - 1 for times in wrote.values()),
        without_intent=len(bench.orphans),
        wider=len([each for each in unlike if each.what != "refreshed"]) + early(ground),
        not_converged=int(ground.dials() != ground.NEW or bool(verdict.open_intents)),
    )


def early(ground: Campaigns) -> int:
    """Return how many widenings were stored before every narrowing was active."""
    narrowed: set[str] = set()
    narrow = {key for key, rate in ground.NEW.items() if rate < ground.OLD[key]}
    found = 0
    for each in ground.happened():
        if each.what == "active" and each.key in narrow and each.rate == ground.NEW[each.key]:
            narrowed.add(each.key)
        if each.what == "stored" and each.key not in narrow and narrowed != narrow:
            found += 1
    return found


def play(bench: Bench, cases: list[Case], ground: type[Campaigns] = Campaigns) -> Figures:
    """Play the cases; say which went wrong, with what the children said."""
    total, wrong = Figures(), []
    for case in cases:
        figures = crash(bench, case, ground)
        if figures.bad:
            wrong.append(f"{case}: {figures}\n{bench.told()}\n{bench.ground.happened()}")
        bench.tidy()
        total.add(figures)
    print(f"kill -9, {cases[0].server}: {total}")
    assert not wrong, "\n\n".join(wrong[:5])
    return total


def matrix(server: str, ground: type[Campaigns] = Campaigns) -> list[Case]:
    """Return every point under every fault."""
    pairs = [(fault, point) for fault in ground.FAULTS for point in POINTS]
    return [Case(number, server, fault, point) for number, (fault, point) in enumerate(pairs)]


def cut(ground: type[Campaigns] = Campaigns) -> list[Case]:
    """Return each point once, each fault at least once, each server as often as the others."""
    servers, faults = list(ground.SERVERS), list(ground.FAULTS)
    return [
        Case(
            4 * number + number % 2,
            servers[number % 3],
            NEEDS.get(point, faults[number % len(faults)]),
            point,
        )
        for number, point in enumerate(POINTS)
    ]


@pytest.mark.parametrize("server", Campaigns.SERVERS)
def test_a_crash_at_each_point_is_finished_by_the_next_apply(bench: Bench, server: str) -> None:
    cases = [case for case in cut() if case.server == server]
    assert play(bench, cases).killed == len(cases)


def test_the_cut_holds_every_point_and_every_fault() -> None:
    assert {case.point for case in cut()} == set(POINTS)
    assert {case.fault for case in cut()} == set(Campaigns.FAULTS)


@pytest.mark.long
@pytest.mark.parametrize("server", Campaigns.SERVERS)
def test_a_crash_at_any_point_under_any_fault_is_finished_by_the_next_apply(
    bench: Bench, server: str
) -> None:
    assert play(bench, matrix(server)).killed >= 20 * 12
