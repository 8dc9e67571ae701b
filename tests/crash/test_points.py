"""Every point that is named is passed: a point that no run comes to would test nothing."""

from reconciler.commands.apply import CHECKPOINTS
from tests.crash.bench import Bench
from tests.crash.ground import Campaigns


def test_every_point_is_passed_by_some_run(bench: Bench) -> None:
    ground = Campaigns
    bench.prepare(ground(), ground.FAULTS["500 kept under the key"].format(where=ground.STORE))
    pushed = []

    def interfere() -> None:
        if not pushed:
            pushed.append(bench.note("somebody else, meanwhile"))

    bench.asked = interfere
    with bench.stopped("apply:closed") as code:
        bench.release_lock()
    assert code.result() == 0
    passed = set(bench.passed())
    bench.tidy()
    bench.prepare(ground(), ground.LOCKED.format(key="1001", seconds=130))
    assert bench.apply() == 0
    assert set(CHECKPOINTS) == passed | set(bench.passed())


def test_a_run_that_waits_for_a_locked_dialer_keeps_its_lock_alive(bench: Bench) -> None:
    """A beat a minute, by the world's time: 130 seconds are two, and the lock ends later than it would have."""
    bench.prepare(Campaigns(), Campaigns.LOCKED.format(key="1001", seconds=150))
    beats = []

    def look(point: str) -> None:
        if point == "lock:beaten":
            lock = bench.ledger().lock.standing()
            assert lock is not None
            beats.append(lock.expires)

    assert bench.apply_here(look).exit_code == 0
    assert len(beats) >= 2
    assert beats == sorted(set(beats))
