"""`kill -9` of a real apply, at every point, under every fault, on every server: nothing lost, nothing twice, nothing unmeant, nothing wider.

`pytest -m long -n 2 -rP tests/crash` runs the whole matrix and prints its figures; a cut of it runs always, in which each point and
each fault occurs. Both run over the ground of each API; points in which no API has a part are in one API's cut alone (`APART`).

One thing the next apply does not finish: a create that may have been sent and is absent. It may have been removed by hand since, which no
server tells that does not keep keys, and none says that it does. It is held, counted as `held`, and `--revert` must finish it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields
from typing import NamedTuple

import pytest

from reconciler.audit import RecordKind
from reconciler.commands.apply import CHECKPOINTS
from reconciler.ledger import TTL_S
from tests.crash.bench import KILLED, Bench, Ground
from tests.crash.ground import Campaigns
from tests.crash.ground_skills import Skills

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

GROUNDS: tuple[type[Ground], ...] = (Campaigns, Skills)
PLACES = [(ground, server) for ground in GROUNDS for server in ground.SERVERS]


class Case(NamedTuple):
    """One crash: where, the which time, under what; `number` turns what else may vary."""

    number: int
    server: str
    fault: str
    point: str

    @property
    def nth(self) -> int:
        return 1 + self.number % 4 if self.point in OFTEN else 1

    def faults(self, ground: type[Ground]) -> tuple[str, ...]:
        """Return the faults: the server's, and the case's on one of the writes."""
        places = ground.WRITES[:2] if self.fault in ground.KEPT else ground.WRITES
        place = places[self.number % len(places)]
        spec = ground.FAULTS[self.fault].format(where=place)
        skip = self.number // 2 % 2 if place != ground.WRITES[1] else 0
        return (*ground.SERVERS[self.server], f"{spec},skip={skip}")


@dataclass
class Figures:
    """What is counted; all but the first four must be 0."""

    cases: int = 0
    killed: int = 0
    struck: int = 0
    held: int = 0
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


def crash(bench: Bench, case: Case, ground: type[Ground]) -> Figures:
    """Play one case and return its figures."""
    bench.prepare(ground(), *case.faults(ground))
    faults = bench.ground.world.faults
    bench.kill = (case.point, case.nth) if case.point.startswith("platform") else ("", 0)
    code = bench.apply(point=case.point, nth=case.nth)
    bench.kill = ("", 0)
    known = {each.id for each in bench.records()}
    if case.number % 2:
        bench.clone = bench.other_clone()
    if case.number // 2 % 2:
        bench.pass_by(TTL_S + 60)
    else:
        bench.release_lock()
    after = [bench.apply()]
    if after[-1]:
        after.append(bench.apply())
    held = unsure(bench)
    if held:
        after.append(bench.apply(revert=held))
    figures = judged(bench, known)
    figures.held = len(held)
    figures.killed = int(code == KILLED)
    figures.struck = int(faults._all[-1].fired > 0)
    figures.not_converged |= int(after[-1] != 0)
    return figures


def unsure(bench: Bench) -> list[str]:
    """Return the manifests whose create nobody can tell the fate of, and that were indeed never stored: one that was must not be among them."""
    wrote = {each.key for each in bench.ground.happened() if each.what == "stored"}
    return [
        ended[-1]["name"]
        for key, ended in bench.outcomes().items()
        if (ended[-1]["verb"], ended[-1]["result"]) == ("create", "unknown") and key not in wrote
    ]


def judged(bench: Bench, known: set[str]) -> Figures:
    """Hold the platform's journal and the remote's ledger against each other. `known`: ids of the records that had been acknowledged."""
    ground, ledger = bench.ground, bench.ledger()
    verdict, records = ledger.verify(), bench.records()
    happened = ground.happened()
    wrote = {each.key for each in happened if each.what in {"stored", "removed"}}
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
        lost=len(known - {each.id for each in records}) + len(wrote - told) + len(verdict.defects),
        duplicates=ground.duplicates(),
        without_intent=len(bench.orphans),
        wider=len([each for each in unlike if each.what != "refreshed"]) + early(ground),
        not_converged=int(ground.dials() != ground.NEW or bool(verdict.open_intents)),
    )


def early(ground: Ground) -> int:
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


def play(bench: Bench, cases: list[Case], ground: type[Ground]) -> Figures:
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


def points(ground: type[Ground]) -> list[str]:
    """Return the points that some run over this ground passes."""
    return [point for point in POINTS if point not in ground.NEVER]


def matrix(server: str, ground: type[Ground]) -> list[Case]:
    """Return every point under every fault."""
    pairs = [(fault, point) for fault in ground.FAULTS for point in points(ground)]
    return [Case(number, server, fault, point) for number, (fault, point) in enumerate(pairs)]


def cut(ground: type[Ground]) -> list[Case]:
    """Return each point once (but the ground's `APART`), each fault at least once, each server as often as the others."""
    servers, others = list(ground.SERVERS), itertools.cycle(ground.FAULTS)
    chosen = [point for point in points(ground) if point not in ground.APART]
    return [
        Case(
            4 * number + number % 2,
            servers[number % len(servers)],
            ground.NEEDS.get(point) or next(others),
            point,
        )
        for number, point in enumerate(chosen)
    ]


CUT = [
    pytest.param(ground, case, id=f"{ground.api}, {case.server}, {case.point}")
    for ground in GROUNDS
    for case in cut(ground)
]


@pytest.mark.parametrize(("ground", "case"), CUT)
def test_a_crash_at_each_point_is_finished_by_the_next_apply(
    bench: Bench, ground: type[Ground], case: Case
) -> None:
    assert play(bench, [case], ground).killed == 1


@pytest.mark.parametrize("ground", GROUNDS)
def test_the_cut_holds_every_point_and_every_fault(ground: type[Ground]) -> None:
    assert {case.point for case in cut(ground)} == set(points(ground)) - ground.APART
    assert {case.fault for case in cut(ground)} == set(ground.FAULTS)


@pytest.mark.long
@pytest.mark.parametrize(("ground", "server"), PLACES)
def test_a_crash_at_any_point_under_any_fault_is_finished_by_the_next_apply(
    bench: Bench, ground: type[Ground], server: str
) -> None:
    assert play(bench, matrix(server, ground), ground).killed >= 20 * 12
