"""Whatever people, machines and crashes do in whatever order: the laws of the ledger and of the platform hold.

`pytest -m long -n 2 -rP tests/crash` plays many and long stories; a few short ones are played always. Every apply is a process of its
own, on time that hurries, and a crash is a real `kill -9`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from reconciler.audit import RecordKind
from reconciler.ledger import TTL_S
from tests.crash.bench import KILLED, Bench
from tests.crash.ground import Campaigns, Happened
from tests.crash.test_matrix import POINTS
from tests.support.gitfakes import git

KEYS = ("1001", "1002", "1003")
keys = st.sampled_from(KEYS)
rates = st.sampled_from([4.0, 8.0, 12.0])
points = st.sampled_from([each for each in POINTS if "platform" not in each])

DONE, LOCKED, GOES_BACK = 0, 6, 5


class Story(RuleBasedStateMachine):
    """One tenant's life.

    Attributes:
        wanted: rate in git, by key; 0 is retired.
        known: ids of the records that the ledger held.
        stops: what is stopped, and how much had happened when it was silent.
    """

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self.bench = bench
        bench.prepare(Campaigns())
        bench.alone()
        self.wanted = dict(Campaigns.NEW)
        self.known: set[str] = set()
        self.stops: dict[str, int] = {}

    # --- what people do ------------------------------------------------------------------------------------------------

    @rule(key=keys, rate=rates)
    def edit(self, key: str, rate: float) -> None:
        """A commit changes a manifest, or brings a retired one back."""
        self._commit(key, rate)

    @rule(key=keys)
    def retire(self, key: str) -> None:
        self._commit(key, 0.0)

    @rule(key=keys, rate=rates)
    def drift(self, key: str, rate: float) -> None:
        """Somebody stores another rate by hand, narrower or wider, or stores something where nothing was."""
        self.bench.ground.by_hand(key, rate)

    @rule(key=keys)
    def halt(self, key: str) -> None:
        """Somebody stops a campaign at once: it is silent when the stop ends."""
        self._stop(key)

    @rule(key=keys)
    def release(self, key: str) -> None:
        """Somebody ends the hold. Nothing dials by that."""
        if key in self.stops:
            before = self.bench.ground.happened()
            assert self.bench.release_here(key).exit_code == DONE
            assert self.bench.ground.happened() == before
            del self.stops[key]

    @rule(key=keys, point=st.sampled_from(["apply:planned", "intents:recorded", "write:answered"]))
    def halt_past_a_running_apply(self, key: str, point: str) -> None:
        """A stop does not wait for a run, and a run that it went past writes nothing more."""
        with self.bench.stopped(point, needed=False) as code:
            self._stop(key)
            before = self.bench.ground.happened()
        assert code.result() != KILLED
        assert self.bench.ground.happened() == before

    # --- what machines do ----------------------------------------------------------------------------------------------

    @rule()
    def plan(self) -> None:
        """A plan changes nothing, neither here nor there."""
        before = self.bench.ground.happened(), self.bench.ledger().head
        self.bench.plan_here()
        assert (self.bench.ground.happened(), self.bench.ledger().head) == before

    @rule()
    def apply(self) -> None:
        laws = self._laws()
        self._obeyed(self.bench.apply(), *laws)

    @rule(point=points, nth=st.integers(1, 3), expired=st.booleans())
    def crash(self, point: str, nth: int, *, expired: bool) -> None:
        """A run dies; its lock ends by itself, or is taken away at once."""
        code = self.bench.apply(point=point, nth=nth)
        assert code in {DONE, KILLED}, self.bench.told()
        self._unlock(expired=expired)

    @rule(point=st.sampled_from(["apply:planned", "intents:recorded", "apply:executed"]))
    def two_at_once(self, point: str) -> None:
        """While one applies another is refused, and the first one finishes."""
        laws = self._laws()
        with self.bench.stopped(point, needed=False) as code:
            if not code.done():
                assert self.bench.apply_beside() == LOCKED
        self._obeyed(code.result(), *laws)

    @rule(point=st.sampled_from(["apply:planned", "intents:recorded", "write:answered"]))
    def frozen(self, point: str) -> None:
        """A run is frozen past its lock, another applies, and what wakes up writes nothing more."""
        with self.bench.stopped(point, needed=False) as code:
            if not code.done():
                self.bench.pass_by(TTL_S + 60)
                assert self.bench.apply_beside() == DONE, self.bench.told()
            before = self.bench.ground.happened(), self.bench.ledger().head
        assert code.result() != KILLED
        assert (self.bench.ground.happened(), self.bench.ledger().head) == before

    @rule()
    def go_back(self) -> None:
        """Applying an older commit than the last one is refused."""
        last = self.bench.ledger().last_applied()
        if last is None or not self._parent(last):
            return
        before = self.bench.ground.happened()
        git(self.bench.clone, "checkout", "-q", "--detach", f"{last}^")
        assert self.bench.apply() == GOES_BACK, self.bench.told()
        git(self.bench.clone, "checkout", "-q", "main")
        assert self.bench.ground.happened() == before

    # --- laws ----------------------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_written_without_an_intent(self) -> None:
        assert self.bench.orphans == []

    @invariant()
    def the_ledger_only_grows_and_verifies(self) -> None:
        assert self.bench.ledger().verify().defects == ()
        now = {each.id for each in self.bench.records()}
        assert self.known <= now
        self.known = now

    @invariant()
    def nothing_is_deployed_twice(self) -> None:
        for key in KEYS:
            stored = Campaigns.OLD[key]
            for each in self._writes(key):
                assert each.by_hand or each.rate != stored, f"{key} twice: {self.bench.told()}"
                stored = each.rate

    @invariant()
    def no_narrowing_by_hand_is_undone_without_a_word(self) -> None:
        """What we stored last, somebody narrowed; storing the very same again takes a new commit or an approval, and there is none here."""
        for key in KEYS:
            ours, hand = None, None
            for each in self._writes(key):
                if each.by_hand:
                    hand = each.rate
                    continue
                undone = hand is not None and ours is not None and hand < ours == each.rate
                assert not undone, f"{key} widened to {each.rate} again: {self.bench.told()}"
                ours, hand = each.rate, None

    @invariant()
    def what_is_stopped_is_not_made_to_dial_by_any_run(self) -> None:
        happened = self.bench.ground.happened()
        for key, when in self.stops.items():
            later = [each for each in happened[when:] if each.key == key and not each.by_hand]
            assert [each for each in later if each.what == "stored"] == [], self.bench.told()

    def teardown(self) -> None:
        self.bench.tidy()

    # --- inside --------------------------------------------------------------------------------------------------------

    def _stop(self, key: str) -> None:
        report = self.bench.halt_here(key)
        assert report.exit_code == DONE, report
        assert self.bench.ground.dials()[key] == 0.0
        self.stops[key] = len(self.bench.ground.happened())

    def _commit(self, key: str, rate: float) -> None:
        if self.wanted[key] != rate:
            self.wanted[key] = rate
            self.bench.rewrite(self.wanted)

    def _parent(self, commit_id: str) -> bool:
        return bool(git(self.bench.clone, "rev-list", "--max-count=1", "--skip=1", commit_id))

    def _writes(self, key: str) -> list[Happened]:
        return [
            each
            for each in self.bench.ground.happened()
            if each.key == key and each.what in {"stored", "removed"}
        ]

    def _held(self, key: str) -> bool:
        """Whether somebody narrowed by hand what we stored last, and git still wants it."""
        writes = self._writes(key)
        ours = [each.rate for each in writes if not each.by_hand]
        by_hand = bool(writes) and writes[-1].by_hand
        return by_hand and bool(ours) and writes[-1].rate < ours[-1] == self.wanted[key]

    def _may_be_held(self, key: str) -> bool:
        """Whether somebody narrowed by hand what git wants and a dead run may have stored, or a dead run may have created what is absent."""
        writes = self._writes(key)
        absent = not (writes[-1].rate if writes else Campaigns.OLD[key])
        if absent and self._unsure(key):
            return True
        meant = [
            each.data["body"]
            for each in self.bench.ledger().open_intents()
            if each.data["target"] == key and each.data["body"] is not None
        ]
        again = self.wanted[key] in {body["dial_rate"] for body in [*meant, *self._unknown(key)]}
        return bool(writes) and writes[-1].by_hand and writes[-1].rate < self.wanted[key] and again

    def _unsure(self, key: str) -> bool:
        """Whether the ledger holds a create whose fate nobody recorded, or nobody can tell."""
        ledger = self.bench.ledger()
        left = [each.data for each in ledger.open_intents()]
        ended = [each.data for each in self.bench.records() if each.data.get("result") == "unknown"]
        return ("create", key) in {(each["verb"], each["target"]) for each in (*left, *ended)}

    def _unknown(self, key: str) -> list[Mapping[str, Any]]:
        """Return the bodies of the writes of which the ledger says that nobody can tell."""
        records = self.bench.records()
        intents = {each.id: each.data["body"] for each in records if each.kind is RecordKind.INTENT}
        ended = [
            intents[each.data["intent"]]
            for each in records
            if each.kind is RecordKind.OUTCOME
            and (each.data["target"], each.data["result"]) == (key, "unknown")
        ]
        return [body for body in ended if body is not None]

    def _laws(self) -> tuple[set[str], set[str], dict[str, list[Happened]]]:
        """Return which objects must be held now, which may be, and what was written to each."""
        must = {key for key in KEYS if self._held(key)}
        may = must | {key for key in KEYS if self._may_be_held(key)}
        return must, may, {key: self._writes(key) for key in KEYS}

    def _obeyed(
        self, code: int, must: set[str], may: set[str], before: Mapping[str, list[Happened]]
    ) -> None:
        """Hold an apply that ended against the laws."""
        assert code == DONE, self.bench.told()
        for key in must | self.stops.keys():
            assert self._writes(key) == before[key], f"{key} was held: {self.bench.told()}"
        self._converged(may | self.stops.keys())

    def _unlock(self, *, expired: bool) -> None:
        if expired:
            self.bench.pass_by(TTL_S + 60)
        else:
            self.bench.release_lock()

    def _converged(self, held: set[str]) -> None:
        """What is not held is as git wants it, stored and dialing, and nothing is left open."""
        dials = self.bench.ground.dials()
        for key in set(KEYS) - held:
            assert dials[key] == self.wanted[key], f"{key}: {self.bench.told()}"
        assert self.bench.ledger().open_intents() == ()


def tell(bench: Bench, stories: int, steps: int) -> None:
    run_state_machine_as_test(
        lambda: Story(bench),
        settings=settings(
            max_examples=stories,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
    print(f"state machine: {stories} stories of up to {steps} steps, every law held")


def test_a_few_short_stories(bench: Bench) -> None:
    tell(bench, stories=2, steps=8)


@pytest.mark.long
def test_many_long_stories(bench: Bench) -> None:
    tell(bench, stories=60, steps=40)


def test_what_somebody_narrowed_after_a_dead_run_stored_it_is_held(bench: Bench) -> None:
    """Nobody recorded that the dead run's write was done, and by now the platform does not tell: it may have been."""
    story = Story(bench)
    story.apply()
    story.edit(key="1002", rate=8.0)
    story.crash(point="write:answered", nth=1, expired=False)
    story.drift(key="1002", rate=4.0)
    story.apply()
    story.no_narrowing_by_hand_is_undone_without_a_word()
    story.teardown()


def test_who_asks_for_the_lock_while_it_is_looked_at_waits_for_what_is_found(bench: Bench) -> None:
    """One operation's look at the lock was under way, and another took the look before it for an answer: it wrote after the stop."""
    story = Story(bench)
    story.halt_past_a_running_apply(key="1001", point="write:answered")
    story.what_is_stopped_is_not_made_to_dial_by_any_run()
    story.apply()
    story.teardown()


def test_what_was_stopped_past_a_run_dials_again_after_release_without_another_word(
    bench: Bench,
) -> None:
    """The run's own write ends in doubt, but the stop came after it: nobody narrowed anything by hand."""
    story = Story(bench)
    story.halt_past_a_running_apply(key="1002", point="intents:recorded")
    story.apply()
    story.release(key="1002")
    story.apply()
    assert bench.ground.dials()["1002"] == Campaigns.NEW["1002"]
    story.teardown()
