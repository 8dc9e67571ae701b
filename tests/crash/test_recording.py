"""What an apply writes down when something goes wrong meanwhile, and what it checked; and that it runs what was confirmed and nothing else."""

from __future__ import annotations

from reconciler.execute import WriteOptions
from tests.crash.bench import Bench
from tests.crash.ground import Campaigns


class Outage:
    """Takes the remote away at one point, and gives it back at another."""

    def __init__(self, bench: Bench, begins: str, ends: str) -> None:
        self.bench, self.begins, self.ends = bench, begins, ends
        self.away = bench.remote.with_name("away.git")

    def __call__(self, point: str) -> None:
        if point == self.begins and self.bench.remote.exists():
            self.bench.remote.rename(self.away)
        if point == self.ends:
            self.end()

    def end(self) -> None:
        if self.away.exists():
            self.away.rename(self.bench.remote)


def test_outcomes_that_could_not_be_written_are_kept_and_written_when_the_run_ends(
    bench: Bench,
) -> None:
    """The remote goes while one dialer is waited for: the batch of the others fails, and nothing of it is lost."""
    bench.prepare(Campaigns(), Campaigns.LOCKED.format(key="1001", seconds=300))
    report = bench.apply_here(Outage(bench, "outcome:told", "apply:executed"))
    results = {key: [each["result"] for each in told] for key, told in bench.outcomes().items()}
    assert results == {
        "1001": ["stored_not_active"],
        "1002": ["not_started"],
        "1003": ["not_started"],
        "1004": ["deleted"],
    }
    assert bench.ledger().open_intents() == ()
    assert report.exit_code == 3  # the run ended because it could not read the lock, after a write


def test_a_run_whose_outcomes_stay_unwritten_says_so_and_the_next_settles_them(
    bench: Bench,
) -> None:
    bench.prepare(Campaigns())
    outage = Outage(bench, "outcome:told", "never")
    report = bench.apply_here(outage)
    assert report.exit_code == 3
    assert any("does not hold every outcome" in note for note in report.notes)
    outage.end()
    assert bench.ledger().open_intents() != ()
    bench.release_lock()
    assert bench.apply_here().exit_code == 0
    assert bench.ledger().open_intents() == ()
    assert bench.ground.dials() == bench.ground.NEW


def test_a_record_says_which_lists_were_checked_and_that_one_was_active(bench: Bench) -> None:
    bench.prepare(Campaigns())
    assert bench.apply_here().exit_code == 0
    lists = bench.ground.world.list_page(1, 10)[0]
    (told,) = bench.outcomes()["1001"]
    assert told["dnc_verified"] is True
    assert told["dnc_lists"] == [
        {"id": "dnc-1", "status": "ACTIVE", "updated_at": lists[0]["updated_at"]}
    ]
    (retired,) = bench.outcomes()["1004"]
    assert retired["dnc_verified"] is None


def test_a_list_that_is_syncing_verifies_nothing_and_lets_only_narrowings_pass(
    bench: Bench,
) -> None:
    bench.prepare(Campaigns(), "syncing:dnc-1:for=20")
    assert bench.apply_here().exit_code == 3
    assert set(bench.outcomes()) == {"1001", "1004"}
    (told,) = bench.outcomes()["1001"]
    assert told["dnc_verified"] is False
    assert [each["status"] for each in told["dnc_lists"]] == ["SYNCING"]


def test_an_active_list_verifies_nothing_when_the_flag_is_off(bench: Bench) -> None:
    bench.prepare(Campaigns())
    bench.edit("1002.yaml", "dnc_verification: true", "dnc_verification: false")
    assert bench.apply_here().exit_code == 0
    (told,) = bench.outcomes()["1002"]
    assert told["dnc_verified"] is False
    assert [each["status"] for each in told["dnc_lists"]] == ["ACTIVE"]


def test_what_moved_while_somebody_was_asked_is_not_carried_out(bench: Bench) -> None:
    """Two plans: the one that was shown, and the one under the lock. Only what both hold is done."""
    bench.prepare(Campaigns())
    shown = []

    def confirm() -> bool:
        bench.ground.by_hand("1002", 6.0)
        return True

    report = bench.apply_here(show=shown.append, confirm=confirm)
    assert len(shown) == 1
    assert report.exit_code == 4
    assert "1002" not in bench.outcomes()
    stored = {
        each.key for each in bench.ground.happened() if each.what == "stored" and not each.by_hand
    }
    assert stored == {"1001", "1003"}


def test_what_came_up_while_somebody_was_asked_is_left_alone(bench: Bench) -> None:
    bench.prepare(Campaigns())
    assert bench.apply_here().exit_code == 0

    def confirm() -> bool:
        bench.ground.by_hand("1003", 30.0)
        return True

    bench.edit("1002.yaml", "dial_rate: 12.0", "dial_rate: 11.0")
    report = bench.apply_here(confirm=confirm)
    assert report.exit_code == 4
    assert any("not approved: campaign-1003" in note for note in report.notes)
    assert [each["result"] for each in bench.outcomes()["1003"]] == ["created"]
    assert [each["result"] for each in bench.outcomes()["1002"]] == ["updated", "updated"]


def test_a_write_that_is_told_to_wait_is_not_sent_when_the_lock_was_taken_meanwhile(
    bench: Bench,
) -> None:
    """An emergency stop goes past a run whose write was answered 429: half a minute later nothing of it may reach the platform."""
    bench.prepare(Campaigns(), f"429:{Campaigns.STORE}:after=30,times=1")
    bench.asked = lambda: bench.ledger().lock.acquire(holder="a stop", force=True)
    report = bench.apply_here(writing=WriteOptions(concurrency=1))
    assert [each for each in bench.ground.happened() if each.what == "stored"] == []
    assert report.exit_code in {3, 6}
